from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import with_tensorflow
from benchmarks.gpu.drawn import write_patches
from benchmarks.gpu.results import (
    HELD,
    Case,
    Missing,
    Result,
    format_results,
    list_cases,
    make_json,
    measure_cases,
    time_feed,
)

MACHINE = {
    "device": "a GPU",
    "processor": "p",
    "cores": 16,
    "versions": "v",
    "date": "d",
}
OPTIONS = {"patches": 2000, "batch_size": 100}
# Nothing but torch's packages, NumPy, pyarrow and absl.
MISSING = (
    *("tensorflow", "tensorflow_datasets", "rasterio", "google_crc32c", "isal"),
    *("backports", "tqdm", "PIL"),
)


def make_result(case: Case) -> Result:
    """A case whose Arrow store makes steps wait a fifth of the time."""
    step_s = {HELD: 0.008, "arrow": 0.010, "tfrecord": 0.007}
    return Result(case, 100, step_s, 1_500_000_000)


def test_the_first_model_comes_first_in_every_precision() -> None:
    """Each case once; then all models in one precision after the other."""
    texts = [" ".join(case) for case in list_cases(["a", "b"])]

    assert ["a fp32", "a bf16", "a tf32", "b fp32", "b bf16", "b tf32"] == texts


def test_no_case_begins_that_may_end_too_late() -> None:
    """After a case of 50 s, none begins with 40 s left, and each of these is told."""
    now = [0.0]

    def measure(case: Case) -> Result:
        now[0] += 50
        return make_result(case)

    cases = list_cases(["a", "b"])
    found = [*measure_cases(cases, measure, 140, lambda: now[0])]

    assert [make_result(case) for case in cases[:2]] == found[:2]
    assert [Missing(case, "no time was left") for case in cases[2:]] == found[2:]
    assert 100 == now[0]


def test_a_case_that_fails_does_not_end_the_others() -> None:
    """Its error is told in its place."""

    def measure(case: Case) -> Result:
        if case.precision == "bf16":
            raise MemoryError("too large\nmore")
        return make_result(case)

    found = [*measure_cases(list_cases(["a"]), measure, float("inf"))]

    assert [Result, Missing, Result] == [type(one) for one in found]
    assert found[1] == Missing(Case("a", "bf16"), "MemoryError: too large")


def test_figures_are_against_a_batch_on_the_device() -> None:
    """Rates, the share of waiting, never below 0, memory, and what has no figure."""
    found = [
        make_result(Case("a", "fp32")),
        Missing(Case("a", "bf16"), "no time was left"),
        Missing(Case("b", "fp32"), "no time was left"),
    ]
    text = format_results(found, MACHINE, OPTIONS)
    content = json.loads(json.dumps(make_json(found, MACHINE, OPTIONS)))

    assert "| a | fp32 | 12,500 | 10,000 (20%) | 14,286 (0%) | 1.50 GB |" in text
    assert "Not measured (no time was left): a bf16, b fp32." in text
    assert 0.2 == pytest.approx(content["results"][0]["feeds"]["arrow"]["waiting"])
    assert 2 == len(content["not_measured"])


def test_what_compiles_is_no_step() -> None:
    """The first step of each pass is left out, and each pass has another one."""
    asked = []

    def start(steps: int) -> Iterator[float]:
        asked.append(steps)
        yield from range(steps)

    assert 0 <= time_feed(start) < 1
    assert asked == [5, 501]


def test_drawn_patches_are_read_like_those_of_a_store(tmp_path: Path) -> None:
    """Bands have their shapes and vary; so do labels; more than a record batch fits."""
    reader = write_patches(tmp_path, 101)
    images = reader.images([0, 100])
    labels = reader.gather([0, 100], "multi_hot_43")["multi_hot_43"]

    assert 101 == len(reader)
    assert (2, 120, 120, 12) == images.shape
    assert (images.std((1, 2)) > 100).all()
    assert {0, 1} == {*np.unique(labels).tolist()}
    assert ["drawn.arrow"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize(
    "model", ["s_cnn_rgb", pytest.param("inception_v2", marks=pytest.mark.slow)]
)
def test_steps_are_taken_from_the_device_and_both_stores(
    all_stores: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """As many steps as are asked for, training or features, each with a number."""
    taken: list[list[float]] = []

    def take(start: Callable[[int], Iterator[Any]]) -> float:
        taken.append([float(number) for number in start(4)])
        return 0.5

    monkeypatch.setattr(with_tensorflow, "time_feed", take)
    monkeypatch.setattr(with_tensorflow, "TRAIN_SPLITS", "train+test")  # of the sample
    result = with_tensorflow._measure(all_stores, 2, Case(model, "fp32"))

    assert [HELD, "arrow", "tfrecord"] == list(result.step_s)
    assert [4, 4, 4] == [len(numbers) for numbers in taken]
    assert np.isfinite(taken).all()
    # One batch again and again has the same features; those of stores vary.
    is_same = [len(set(numbers)) == 1 for numbers in taken]
    assert [model == "inception_v2", False, False] == is_same


def test_pytorch_needs_nothing_else_that_is_compiled(tmp_path: Path) -> None:
    """What its measurement imports and writes does without the other packages."""
    code = f"""
import sys
for name in {MISSING}:
    sys.modules[name] = None
from pathlib import Path
import benchmarks.gpu.__main__
from benchmarks.gpu import with_torch
print(len(with_torch.write_patches(Path({str(tmp_path)!r}), 3)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert ("3\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--models=alexnet", "unknown model (--models): expected one of s_cnn_all"),
        ("--framework=torch", "torch is not installed"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, flag: str, message: str
) -> None:
    """An unknown model, or a framework that is not there, before anything is made."""
    work = tmp_path / "work"
    code = (
        "import sys, runpy; sys.modules['torch'] = None; "
        f"sys.argv[1:] = ['--work={work}', {flag!r}]; "
        "runpy.run_module('benchmarks.gpu', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert 1 == done.returncode
    assert f"error: {message}" in done.stderr
    assert not work.exists()
