from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from baselines import workdir
from baselines.errors import WeightsError
from baselines.exported import LABELS, MODEL, write_checksums
from baselines.initial_weights import list_arrays, read_initial_weights
from baselines.models import build_trained_part
from baselines.settings import Settings
from baselines.train import train
from baselines.trained import load_trained_model
from bigearthnet.errors import OptionError
from bigearthnet.release.bands import BANDS
from bigearthnet.util.files import write_json
from tests.baselines.conftest import MakeRun

STATISTICS = {b.name: {"mean": b.mean, "std": b.std} for b in BANDS}
CHOSEN = Settings(
    model="s_cnn_rgb",
    config="s2",
    train_split="train",
    validation_split="none",
    fc_units=4,
    epochs=1,
    labels="ben19",
    frozen_epochs=1,
    deterministic=False,  # it would hold for the tests that follow, too
)
NEW = ["logits/kernel", "logits/bias"]


def export(run: Path, folder: Path) -> Path:
    """Exports what can be loaded by Keras alone."""
    folder.mkdir()
    trained = load_trained_model(run)
    trained.model.save(folder / MODEL)
    write_json(
        {"labels": list(trained.run.settings.nomenclature.labels)}, folder / LABELS
    )
    write_checksums(folder)
    return folder


def test_a_new_head_on_the_body_of_another_run(
    all_stores: Path,
    make_run: MakeRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Frozen, the body stays that of the run; settings.json says where it is from."""
    source = make_run("source", model="s_cnn_rgb")
    folder = tmp_path / "target"
    train(CHOSEN, all_stores, folder, init_from=source, quiet=True)

    model, first = (
        build_trained_part(settings, STATISTICS)
        for settings in (CHOSEN, dataclasses.replace(CHOSEN, labels="clc43"))
    )
    workdir.load_trained_weights(model, folder)
    digest = workdir.load_trained_weights(first, source)
    ours, theirs = list_arrays(model), list_arrays(first)
    for name in ours.keys() - set(NEW):
        np.testing.assert_array_equal(theirs[name].numpy(), ours[name].numpy())
    initial = workdir.read_run(folder).initial_weights
    assert initial is not None
    assert (digest, "run", NEW) == (
        initial["sha256"],
        initial["source"],
        initial["new"],
    )
    assert "8 arrays of weights" in capsys.readouterr().out


def test_an_export_gives_the_arrays_of_its_run(
    make_run: MakeRun, tmp_path: Path
) -> None:
    """Arrays are the same from a run and from its export; the same classes are kept."""
    run = make_run("source", model="s_cnn_rgb")
    exported = export(run, tmp_path / "exported")
    same = dataclasses.replace(CHOSEN, labels="clc43")
    for chosen, new in ((CHOSEN, NEW), (same, [])):
        target = build_trained_part(chosen, STATISTICS)
        one, other = (read_initial_weights(p, target, chosen) for p in (run, exported))

        assert new == one.record["new"] == other.record["new"]
        assert one.arrays.keys() == other.arrays.keys()
        for name, values in one.arrays.items():
            np.testing.assert_array_equal(values, other.arrays[name])


def test_what_cannot_be_started_from_is_refused(
    all_stores: Path, make_run: MakeRun, tmp_path: Path
) -> None:
    """Another model, a damaged export, a folder of something else: one clear error."""
    run = make_run("source", model="s_cnn_rgb")
    exported = export(run, tmp_path / "exported")
    other = dataclasses.replace(CHOSEN, model="inception_v2", fc_units=5)
    target = build_trained_part(other, STATISTICS)

    with pytest.raises(WeightsError, match="no array of the names and shapes of incep"):
        read_initial_weights(run, target, other)
    with pytest.raises(WeightsError, match="neither a run nor an export"):
        read_initial_weights(tmp_path, target, other)
    labels = json.loads((exported / LABELS).read_text(encoding="utf-8"))["labels"]
    write_json({"labels": labels[::-1]}, exported / LABELS)
    with pytest.raises(WeightsError, match=LABELS):
        read_initial_weights(exported, target, other)
    with pytest.raises(
        OptionError, match="frozen_epochs: expected 0 without --init_from"
    ):
        train(CHOSEN, all_stores, tmp_path / "none")
    assert not (tmp_path / "none").exists()
