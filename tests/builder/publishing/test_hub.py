from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from bigearthnet.errors import PublishError
from tests.hub import Hub, Repository
from tests.hub.repository import File, large_file

REPO = "org/bigearthnet"
Said = Callable[[Callable[[], object]], str]


@pytest.fixture
def old(hub: Hub, many_shards: Path) -> dict[str, str]:
    """The contents of the repository after an earlier build, of other shards."""
    return make_old(hub, many_shards)


def make_old(hub: Hub, data_dir: Path) -> dict[str, str]:
    """Commits another build than the one that is published."""
    repo = hub.repositories[REPO] = Repository(REPO, hub.objects)
    changes: dict[str, File | None] = {}
    for path in sorted((data_dir / "huggingface").rglob("*")):
        if path.is_file():
            file = repo.store(path.read_bytes())
            if path.suffix == ".parquet":
                file = large_file(file.sha256, file.nbytes)
            changes[path.relative_to(data_dir / "huggingface").as_posix()] = file
    repo.commit("main", "old", changes)
    return repo.contents()


def test_everything_is_one_commit(
    hub: Hub, old: dict, make_publisher: Callable, all_stores: Path
) -> None:
    """Additions, deletions, manifest and card are one commit, which gets the tag."""
    done = make_publisher(hub, all_stores).publish()
    repo = hub.repositories[REPO]

    assert ["Publish version 2.0.0", "old"] == [t[:21] for t in repo.history()]
    assert repo.find("main") == repo.find("v2.0.0")
    assert f"at {repo.find().oid} was compared" in done
    for file in (all_stores / "huggingface").rglob("*.parquet"):
        name = file.relative_to(all_stores / "huggingface").as_posix()
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert digest == repo.contents()[name]
    shards = [path for path in repo.contents() if path.startswith("s2/")]
    assert 3 == len(shards) < len([path for path in old if path.startswith("s2/")])


def test_the_same_again_sends_nothing(
    hub: Hub, make_publisher: Callable, all_stores: Path
) -> None:
    """What is published already costs listings, and makes neither commit nor tag."""
    make_publisher(hub, all_stores).publish()
    hub.recover()
    hub.page = 2  # listings come in pages
    done = make_publisher(hub, all_stores).publish()

    assert done.startswith("nothing had to be sent")
    assert 0 == hub.count("^(PUT|POST)")
    assert 1 == len(hub.repositories[REPO].history())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "drop"),
    [
        ("basic", "request"),
        ("basic", "answer"),
        ("multipart", "request"),
        ("xet", "request"),
    ],
)
def test_an_interruption_leaves_the_old_or_the_new(
    way: str,
    drop: str,
    tmp_path: Path,
    hub: Hub,
    sleeps: list[float],
    make_publisher: Callable,
    many_shards: Path,
    all_stores: Path,
) -> None:
    """Cut off at any request, main is one or the other; repeated, it is the new."""

    def start(number: int) -> Hub:
        made = Hub(tmp_path / f"hub-{number}")
        made.token = hub.token  # which the environment has
        made.part_nbytes = 100_000 if way == "multipart" else None
        made.xet = tmp_path / f"xet-{number}" if way == "xet" else None
        return made

    with start(0) as undisturbed:
        old = make_old(undisturbed, many_shards)
        make_publisher(undisturbed, all_stores).publish()
        new = undisturbed.repositories[REPO]
        count = len(undisturbed.requests)
    ends = set()
    for number in range(1, count + 1):
        with start(number) as cut:
            make_old(cut, many_shards)
            cut.fail(first=number, times=None, drop=drop)
            with pytest.raises(PublishError):
                make_publisher(cut, all_stores).publish()
            repo = cut.repositories[REPO]
            assert repo.contents() in (old, new.contents())
            ends.add(repo.contents() == old)
            cut.recover()
            make_publisher(cut, all_stores).publish()

            assert new.contents() == repo.contents()
            assert new.history() == repo.history()
            assert new.find("v2.0.0").files == repo.find("v2.0.0").files
    assert {True, False} == ends


def test_what_has_arrived_is_not_sent_again(
    hub: Hub, sleeps: list[float], make_publisher: Callable, all_stores: Path
) -> None:
    """After a commit that failed, no shard is sent a second time."""
    hub.fail("POST .*/commit/", times=None, status=500)
    with pytest.raises(PublishError, match="500"):
        make_publisher(hub, all_stores).publish()
    sent = hub.count("PUT")
    hub.faults.clear()
    make_publisher(hub, all_stores).publish()

    # Three shards, the table of patches, and two pictures of each of six patches.
    assert 16 == sent == hub.count("PUT")


# Every kind of request that publishing sends.
REQUESTS = (
    *("GET .*/refs", "POST .*/create", "GET .*/tree/", "GET .*/xet-read-token"),
    *("POST .*/preupload/", "POST .*/batch", "PUT ", "POST .*/verify"),
    *("POST .*/validate-yaml", "POST .*/commit/", "POST .*/tag/"),
)


@pytest.mark.parametrize("pattern", REQUESTS)
def test_what_may_work_later_is_tried_again(
    pattern: str,
    tmp_path: Path,
    hub: Hub,
    sleeps: list[float],
    make_publisher: Callable,
    all_stores: Path,
) -> None:
    """Once 500, 503, 429, or a lost connection: it is published all the same."""
    faults: list[dict] = [
        {"status": 500},
        {"status": 503},
        {"status": 429, "headers": {"Retry-After": "77"}},
        {"drop": "request"},
        {"drop": "answer"},
    ]
    for number, fault in enumerate(faults):
        with Hub(tmp_path / f"hub-{number}") as failing:
            failing.token = hub.token
            failing.fail(pattern, **fault)
            make_publisher(failing, all_stores).publish()
            repo = failing.repositories[REPO]
            assert 1 == len(repo.history())
            assert repo.find("v2.0.0") == repo.find("main")
    assert max(sleeps) in (77, 78)  # as long as the hub asked for


@pytest.mark.parametrize(
    ("pattern", "fault", "message"),
    [
        ("GET .*/refs", {"status": 401}, "run `hf auth login`, or set HF_TOKEN"),
        ("POST .*/commit/", {"status": 403}, "a token that may write there"),
        ("POST .*/commit/", {"status": 412}, "run the same command again"),
        ("PUT ", {"status": 507}, "no room for it"),
        ("PUT ", {"status": 403}, "the hub answers 403"),
        ("POST .*/commit/", {"status": 413}, "no room for it"),
        ("POST .*/validate-yaml", {"status": 400}, "the hub answers 400"),
        ("PUT ", {"status": 503, "times": None}, "Run the same again later"),
        ("PUT ", {"drop": "request", "times": None}, "connection to the hub"),
        ("POST .*/commit/", {"status": 503, "times": None}, "the hub answers 503"),
    ],
)
def test_other_failures_are_one_clear_error(
    pattern: str,
    fault: dict,
    message: str,
    hub: Hub,
    old: dict,
    said: Said,
    sleeps: list[float],
    make_publisher: Callable,
    all_stores: Path,
) -> None:
    """The error says what to do, no secret is in any output, and main is as it was."""
    # A careless server repeats the token in its message.
    hub.fail(pattern, message=f"for {hub.token}", **fault)
    text = said(make_publisher(hub, all_stores).publish)

    assert message in text
    assert old == hub.repositories[REPO].contents()


def test_a_wrong_token_is_refused(
    hub: Hub,
    said: Said,
    monkeypatch: pytest.MonkeyPatch,
    make_publisher: Callable,
    all_stores: Path,
) -> None:
    """A token that the hub does not know is not repeated in the error."""
    monkeypatch.setenv("HF_TOKEN", "hf_quite_wrong")
    text = said(make_publisher(hub, all_stores).publish)

    assert "401" in text
    assert "quite_wrong" not in text


def test_somebody_else_may_commit(
    hub: Hub, old: dict, said: Said, make_publisher: Callable, all_stores: Path
) -> None:
    """A commit in between is neither lost nor built on; the next try builds on it."""
    repo = hub.repositories[REPO]
    notes = {"NOTES.md": repo.store(b"notes")}
    hub.fail("POST .*/commit/", call=lambda: repo.commit("main", "theirs", notes))
    text = said(make_publisher(hub, all_stores).publish)
    assert "Somebody else has committed meanwhile" in text
    assert ["theirs", "old"] == repo.history()
    make_publisher(hub, all_stores).publish()

    assert "theirs" == repo.history()[1]
    assert "NOTES.md" in repo.contents()


def test_a_version_does_not_change(
    hub: Hub, make_publisher: Callable, all_stores: Path, many_shards: Path
) -> None:
    """Other data under a published version is refused; another branch takes it."""
    make_publisher(hub, all_stores).publish()
    repo = hub.repositories[REPO]
    before = repo.contents()
    with pytest.raises(PublishError, match=r"has v2\.0\.0 with other data: .*parquet"):
        make_publisher(hub, many_shards).publish()
    assert before == repo.contents()
    make_publisher(hub, many_shards, revision="trial").publish()

    assert (
        before == repo.contents("v2.0.0") == repo.contents() != repo.contents("trial")
    )


def test_a_new_card_keeps_the_tag(
    hub: Hub,
    make_publisher: Callable,
    all_stores: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Text may change after a version was published; the tag stays where it was."""
    make_publisher(hub, all_stores).publish()
    tagged = hub.repositories[REPO].find("v2.0.0")
    publisher = make_publisher(hub, all_stores)
    *files, card = publisher._files
    text = card.read() + b"\nErratum.\n"
    digest = hashlib.sha256(text).hexdigest()
    card = dataclasses.replace(card, source=text, nbytes=len(text), sha256=digest)
    publisher._files = [*files, card]
    publisher.publish()

    repo = hub.repositories[REPO]
    assert tagged == repo.find("v2.0.0") != repo.find("main")
    assert repo.read("README.md") == text


def test_a_pull_request_is_opened_once(
    hub: Hub, old: dict, make_publisher: Callable, all_stores: Path
) -> None:
    """It holds all in one commit; repeated, it is found; merged, it gets the tag."""
    repo = hub.repositories[REPO]
    for _ in range(2):
        done = make_publisher(hub, all_stores, create_pr=True).publish()
        assert "refs/pr/1" in done
    assert old == repo.contents() != repo.contents("refs/pr/1")
    assert 1 == len(repo.pull_requests)
    repo.merge(1)
    make_publisher(hub, all_stores).publish()

    assert repo.find("v2.0.0") == repo.find("main") == repo.find("refs/pr/1")


def test_nothing_changes_in_a_dry_run(
    hub: Hub, old: dict, make_publisher: Callable, all_stores: Path
) -> None:
    """What would change is found by reading alone."""
    changes = make_publisher(hub, all_stores).find_changes()

    assert {"GET"} == {request.method for request in hub.requests}
    assert len(old) - len(changes.extra) < len(old)
    assert all(path.startswith(("s2/", "pictures/")) for path in changes.extra)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "s2/test-00000-of-00001.parquet is missing"),
        ("0" * 64, "s2/test-00000-of-00001.parquet has other content"),
    ],
)
def test_what_did_not_arrive_is_found(
    change: str | None,
    message: str,
    hub: Hub,
    make_publisher: Callable,
    all_stores: Path,
) -> None:
    """A hub that loses or changes a shard after the commit is found out."""
    path = "s2/test-00000-of-00001.parquet"

    def tamper() -> None:
        repo = hub.repositories[REPO]
        commit = repo.find()
        files = dict(commit.files)
        file = files.pop(path)
        if change:
            files[path] = large_file(change, file.nbytes)
        repo.commits[commit.oid] = dataclasses.replace(commit, files=files)

    hub.fail("GET .*/tree/", first=2, call=tamper)
    with pytest.raises(PublishError, match=message):
        make_publisher(hub, all_stores).publish()
    assert not hub.count("POST .*/tag/")


def test_xet_is_used_where_the_hub_has_it(
    hub: Hub, make_publisher: Callable, all_stores: Path, tmp_path: Path
) -> None:
    """Large files go to its store, not over LFS; the client's own choice stays."""
    before = constants.HF_HUB_DISABLE_XET
    hub.xet = tmp_path / "xet"
    make_publisher(hub, all_stores).publish()

    assert not hub.count("PUT|batch")
    assert sum(f.stat().st_size for f in hub.xet.rglob("*") if f.is_file()) > 500_000
    assert 3 == sum(
        path.startswith("s2/") for path in hub.repositories[REPO].contents()
    )
    assert before == constants.HF_HUB_DISABLE_XET


def test_a_shard_that_changes_meanwhile_is_not_published(
    hub: Hub, old: dict, make_publisher: Callable, all_stores: Path
) -> None:
    """The checksum of what is sent is compared with that of what was verified."""
    publisher = make_publisher(hub, all_stores)
    first, *files = publisher._files
    publisher._files = [dataclasses.replace(first, sha256="0" * 64), *files]
    with pytest.raises(PublishError, match="has changed since it was verified"):
        publisher.publish()

    assert old == hub.repositories[REPO].contents()
