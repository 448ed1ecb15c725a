"""Measures training on a GPU: images/s, waiting for images, memory of the device.

Makes 2,000 synthetic patches in --work, and trains models on them, the most important
ones first, until --minutes are over; what did not fit is listed. Each is fed from one
batch on the device, which is what the device can do, and from an Arrow and a TFRecord
store, in fp32, in TF32 (--tf32 of baselines.train) and in bf16 (--mixed_precision).

--framework=torch measures the recipe for PyTorch instead, fed from Arrow by this
process and by others. It needs torch, NumPy, pyarrow and absl alone.

Results are gpu_FRAMEWORK.json and gpu_FRAMEWORK.md in --output, written after each
case, and the text to paste into docs/baselines.md. Without a GPU the CPU is measured.

Example:
  python -m benchmarks.gpu --work=/tmp/gpu --output=benchmarks/results
  python -m benchmarks.gpu --work=/tmp/gpu --models=resnet101,vgg19 --minutes=3
  python -m benchmarks.gpu --work=/tmp/gpu --framework=torch --minutes=2
"""

from __future__ import annotations

import importlib
import time
from importlib.util import find_spec
from typing import Any

from absl import flags

from benchmarks.gpu.results import (
    Case,
    Missing,
    Result,
    format_results,
    make_json,
    measure_cases,
)
from benchmarks.measure import describe_machine
from bigearthnet.errors import OptionError
from bigearthnet.util import command
from bigearthnet.util.files import write_bytes, write_json
from bigearthnet.util.options import look_up

_FRAMEWORKS = ("tensorflow", "torch")


def _define_flags() -> None:
    command.define_path("work", None, "Folder for the patches.", required=True)
    command.define_path("output", ".", "Folder of the results.")
    command.define_choice("framework", "tensorflow", _FRAMEWORKS, "What to measure.")
    flags.DEFINE_float("minutes", 6.0, "When to be done.", lower_bound=0)
    # From three on, each split has some.
    flags.DEFINE_integer("patches", 2_000, "Synthetic patches.", lower_bound=3)
    flags.DEFINE_integer("batch_size", 128, "Images of a step.", lower_bound=1)
    flags.DEFINE_list("models", [], "Which models; all by default.")


def _main() -> int:
    values, start = flags.FLAGS, time.monotonic()
    name = values.framework
    if find_spec(name) is None:
        raise OptionError(f"{name} is not installed: expected another --framework.")
    framework: Any = importlib.import_module(f"benchmarks.gpu.with_{name}")
    cases: list[Case] = framework.CASES
    if values.models:
        known = {case.model: case.model for case in cases}
        models = [look_up(known, model, "model (--models)") for model in values.models]
        cases = [case for case in cases if case.model in models]
    values.output.mkdir(parents=True, exist_ok=True)
    measure = framework.prepare(values.work, values.patches, values.batch_size)
    machine = {**describe_machine(), **framework.describe_device()}
    options = {"patches": values.patches, "batch_size": values.batch_size}
    found: list[Result | Missing] = []
    text = ""
    for one in measure_cases(cases, measure, start + 60 * values.minutes):
        found.append(one)
        text = format_results(found, machine, options)
        content = make_json(found, machine, options)
        write_json(content, values.output / f"gpu_{name}.json")
        write_bytes(text.encode(), values.output / f"gpu_{name}.md")
    print(f"Paste into docs/baselines.md:\n\n{text}")
    return 0 if any(isinstance(one, Result) for one in found) else 1


if __name__ == "__main__":
    command.run(_main, _define_flags)
