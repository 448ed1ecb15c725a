from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

import baselines
from baselines.errors import WeightsError
from baselines.evaluate import evaluate
from baselines.export import export, make_patches
from baselines.publish import publish
from baselines.scoring import Data
from baselines.trained import load_trained_model
from bigearthnet.errors import DownloadError, OptionError, PublishError
from bigearthnet.release.nomenclature import CLC43
from tests.hub import Hub

MakeRun = Callable[..., Path]
REPO = "org/model"


@pytest.fixture
def exported(make_run: MakeRun, tmp_path: Path, all_stores: Path) -> Path:
    """A model that was evaluated and exported; its workdir lies in `run` beside."""
    folder = make_run(model="s_cnn_rgb")
    evaluate(folder, Data(all_stores), split="test", quiet=True)
    export(folder, tmp_path / "exported")
    return tmp_path / "exported"


def test_what_is_published_is_loaded_again(
    exported: Path, hub: Hub, tmp_path: Path
) -> None:
    """The command makes one commit, whose model gives the trained one's scores."""
    line = [sys.executable, "-m", "baselines.publish", f"--exported={exported}"]
    done = subprocess.run(
        [*line, f"--to={REPO}", "--license=apache-2.0", "--tag=v1"],
        env=hub.environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert hub.token not in done.stdout + done.stderr
    assert f"publishes {exported} at {REPO}, under apache-2.0\n" in done.stderr
    assert f'next: baselines.from_hub("{REPO}") loads it' in done.stdout
    assert 1 == len(hub.repositories[REPO].history())

    loaded = baselines.from_hub(REPO, revision="v1")
    trained = load_trained_model(tmp_path / "run")
    inputs = {name: bands[:3] for name, bands in make_patches(trained.model).items()}
    np.testing.assert_allclose(
        np.asarray(trained.model(inputs)), np.asarray(loaded.model(inputs)), atol=1e-5
    )
    assert CLC43.labels == loaded.labels


def test_the_card_says_what_the_results_say(
    exported: Path, hub: Hub, tmp_path: Path
) -> None:
    """Its metadata have every result, the licence, classes, bands and scaling."""
    publish(exported, REPO, license_name="apache-2.0")
    card = ModelCard(hub.repositories[REPO].read("README.md").decode())
    data: Any = card.data
    results = [r for r in data.eval_results if "clc43" in r.metric_name]

    assert ("apache-2.0", "keras", ["bigearthnet"]) == (
        data.license,
        data.library_name,
        data.datasets,
    )
    assert ["precision", "recall", "f1", "f2"] == [r.metric_type for r in results]
    assert {("s2", "test")} == {(r.dataset_config, r.dataset_split) for r in results}
    assert list(CLC43.labels) == data.bigearthnet["classes"]
    assert ["B04", "B03", "B02"] == data.bigearthnet["bands"]
    assert "(DN - mean) / std" == data.bigearthnet["scaling"]["formula"]
    assert card.text.strip() == (exported / "README.md").read_text().strip()


def test_a_later_model_replaces_the_files_of_an_earlier_one(
    exported: Path, hub: Hub
) -> None:
    """What is not part of the export any more is deleted in the same commit."""
    publish(exported, REPO, license_name="mit")
    evaluations = [p for p in hub.repositories[REPO].find("main").files if "test/" in p]
    sums = exported / "SHA256SUMS"
    kept = [x for x in sums.read_text().splitlines() if not x.endswith("results.json")]
    sums.write_text("\n".join(kept) + "\n")
    publish(exported, REPO, license_name="mit")

    assert evaluations
    assert not set(evaluations) & set(hub.repositories[REPO].find("main").files)


def test_files_that_were_changed_are_neither_published_nor_loaded(
    exported: Path, hub: Hub
) -> None:
    """Whatever is not of its checksum is named."""
    publish(exported, REPO, license_name="mit")
    (exported / "labels.json").write_text('{"labels": []}')
    with pytest.raises(WeightsError, match=r"labels.json is not what was exported"):
        publish(exported, REPO, license_name="mit")
    repo = hub.repositories[REPO]
    repo.commit("main", "change", {"labels.json": repo.store(b"{}")})
    with pytest.raises(WeightsError, match=r"labels.json is not what was exported"):
        baselines.from_hub(REPO)


def test_what_is_not_there_is_an_error_of_ours(tmp_path: Path, hub: Hub) -> None:
    """A repository that is missing, a folder that is no export, a bad name."""
    with pytest.raises(DownloadError, match="org/none: the hub answers 40"):
        baselines.from_hub("org/none")
    with pytest.raises(WeightsError, match="SHA256SUMS cannot be read"):
        publish(tmp_path, REPO, license_name="mit")
    with pytest.raises(OptionError, match="expected ORG/NAME"):
        publish(tmp_path, "name", license_name="mit")


def test_a_hub_that_refuses_is_an_error_without_the_token(
    exported: Path, hub: Hub
) -> None:
    """A token that may not write ends with advice."""
    hub.read_only = True
    with pytest.raises(PublishError, match="403") as caught:
        publish(exported, REPO, license_name="mit")

    assert hub.token not in str(caught.value)
