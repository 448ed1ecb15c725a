from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, HfFileSystem
from huggingface_hub import constants as hub_constants
from huggingface_hub.errors import HfHubHTTPError

from tests.hub import Hub

REPO = "org/data"


@pytest.fixture
def api(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> HfApi:
    """The unmodified client, over LFS, with an empty repository."""
    monkeypatch.setattr(hub_constants, "HF_HUB_DISABLE_XET", True)
    client = HfApi(endpoint=hub.endpoint)
    client.create_repo(REPO, repo_type="dataset")
    client.create_repo(REPO, repo_type="dataset", exist_ok=True)
    return client


def upload(api: HfApi, folder: Path, **options: object) -> str:
    """Uploads a folder, and returns the object id of the commit."""
    done = api.upload_folder(
        repo_id=REPO, repo_type="dataset", folder_path=folder, **options
    )
    return done.oid


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small and a large file."""
    (tmp_path / "folder/s2").mkdir(parents=True)
    (tmp_path / "folder/README.md").write_text("---\nlicense: mit\n---\ntext\n")
    (tmp_path / "folder/s2/a.parquet").write_bytes(bytes(range(256)) * 100)
    return tmp_path / "folder"


@pytest.mark.parametrize("part_nbytes", [None, 10_000])
def test_the_client_uploads_once(
    api: HfApi, hub: Hub, folder: Path, part_nbytes: int | None
) -> None:
    """A folder arrives in one piece or in parts; the same again makes no commit."""
    hub.part_nbytes = part_nbytes
    oid = upload(api, folder)

    repo = hub.repositories[REPO]
    assert (folder / "s2/a.parquet").read_bytes() == repo.read("s2/a.parquet")
    assert (1 if part_nbytes is None else 3) == hub.count("PUT")
    assert oid == upload(api, folder) == repo.find("main").oid
    assert 1 == len(repo.history())


def test_the_client_reads_what_it_wrote(api: HfApi, hub: Hub, folder: Path) -> None:
    """Listings, in pages, ranges and revisions are read as they were written."""
    hub.page = 1
    oid = upload(api, folder)
    api.create_tag(REPO, tag="v1", repo_type="dataset")
    files = HfFileSystem(endpoint=hub.endpoint, skip_instance_cache=True)
    path = f"datasets/{REPO}@v1/s2/a.parquet"

    assert path in files.find(f"datasets/{REPO}@v1")
    assert bytes(range(10, 20)) == files.cat_file(path, start=10, end=20)
    assert oid == api.list_repo_refs(REPO, repo_type="dataset").tags[0].target_commit


def test_the_client_is_refused(api: HfApi, hub: Hub, folder: Path) -> None:
    """A wrong token, no right to write, and an old parent are refused."""
    api.create_branch(REPO, repo_type="dataset", branch="old")
    parent = hub.repositories[REPO].find("main").oid
    upload(api, folder)
    with pytest.raises(HfHubHTTPError, match="412"):
        upload(api, folder / "s2", parent_commit=parent)
    hub.read_only = True
    with pytest.raises(HfHubHTTPError, match="403"):
        upload(api, folder, revision="old")
    with pytest.raises(HfHubHTTPError, match="401"):
        HfApi(endpoint=hub.endpoint, token="hf_wrong").repo_info(REPO)


def test_requests_fail_as_told(api: HfApi, hub: Hub) -> None:
    """A request that is answered, or cut, is not done; one whose answer is cut, is."""
    add = [CommitOperationAdd("a.txt", b"text")]
    commits = []
    for options in ({"status": 500}, {"drop": "request"}, {"drop": "answer"}):
        hub.fail("POST .*/commit/", **options)
        with pytest.raises(Exception, match=r"500|disconnected|closed|incomplete"):
            api.create_commit(REPO, add, commit_message="add", repo_type="dataset")
        hub.recover()
        commits.append(len(hub.repositories[REPO].history()))

    assert [0, 0, 1] == commits


def test_datasets_loads_from_it(
    api: HfApi, hub: Hub, all_stores: Path, tmp_path: Path
) -> None:
    """`load_dataset` works in a process of its own, mapped and streaming."""
    upload(api, all_stores / "huggingface")
    code = (
        "from datasets import load_dataset\n"
        f"d = load_dataset({REPO!r}, 's2-43', split='train')\n"
        f"s = load_dataset({REPO!r}, 's2-43', split='train', streaming=True)\n"
        "print(len(d), d[0]['patch_id'] == next(iter(s))['patch_id'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=hub.environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "4 True" == done.stdout.strip(), done.stderr
