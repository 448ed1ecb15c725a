"""Measures what the input pipeline costs a training, and how fast the head trains.

How long a device waits for batches, from both stores; see `benchmarks.feeding`. On
demand (--parts=graph), what a feed of tf.data alone costs: `benchmarks.graph_input`.

S-CNN-All, float32, steps of SGD: processor time per patch with patches that are read
from the store, against the same steps on one batch in memory, turn by turn. The head on
cached features (1024 → 128 → 43): patches per second of whole epochs.

Example:
  python -m benchmarks.training --data_dir=data --output=training.json
  python -m benchmarks.training --data_dir=data --parts=feeding --batch_size=128,512
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from baselines.cluster import refuse_cluster
from baselines.input_pipeline import Order, ReadAhead
from baselines.memory_data import MemoryData
from baselines.models import build_trained_part
from baselines.models.inception_v2 import NUM_FEATURES
from baselines.models.preprocessing import choose_statistics
from baselines.optimizers import choose_strategy, make_optimizer
from baselines.settings import Settings
from baselines.stored_rows import open_train_data
from baselines.train import define_read_ahead
from benchmarks import feeding, graph_input
from bigearthnet.util import command
from bigearthnet.util.files import write_json

if TYPE_CHECKING:
    import tensorflow as tf

    from baselines.steps import Steps
    from baselines.stored_rows import StoreData

ALTERNATIONS = 5
# Bounds that the project has set itself.
MAX_RATIO = 1.10
MIN_HEAD_RATE = 20_000

_HEAD_PATCHES, _HEAD_EPOCHS = 51_200, 4


def measure_input(data_dir: Path, batch_size: int) -> dict[str, Any]:
    """Measures steps of S-CNN-All with and without the input pipeline.

    Args:
        data_dir: The data directory of a build with a train split.
        batch_size: Patches of a batch.

    Returns:
        Processor seconds per 1,000 patches of each turn, `store` and `memory`, and the
        median of their ratios.
    """
    from baselines.steps import Steps

    settings = Settings(batch_size=batch_size, validation_split="none")
    data, _ = open_train_data(settings, data_dir)
    values = choose_statistics("stored", settings.bands, data.stores.statistics)
    model = build_trained_part(settings, values)
    optimizer = make_optimizer(settings, 1)
    steps = Steps(model, optimizer, choose_strategy(), data, jit_compile=False)
    batch = next(iter(data.batches(Order(batch_size))))
    count = -(-data.num_patches // batch_size)
    _run(steps, [batch, batch])  # compiles
    turns: dict[str, list[float]] = {"store": [], "memory": []}
    for epoch in range(ALTERNATIONS):
        turns["store"].append(_measure_epoch(steps, data, batch_size, epoch))
        seconds = _measure(lambda: _run(steps, [batch] * count))
        turns["memory"].append(1000 * seconds / (count * len(batch[1])))
    ratios = [a / b for a, b in zip(turns["store"], turns["memory"], strict=True)]
    return {
        "batch_size": batch_size,
        "cpu_seconds_per_1000": turns,
        "ratio": statistics.median(ratios),
    }


def _measure_epoch(steps: Steps, data: StoreData, batch_size: int, epoch: int) -> float:
    """Returns processor seconds per 1,000 patches, reading ahead included."""
    batches = data.batches(Order(batch_size, seed=0, epoch=epoch))
    return 1000 * _measure(lambda: _run(steps, batches)) / data.num_patches


def take_steps(steps: Steps, batches: Iterable[Any]) -> Iterator[tf.Tensor]:
    """Trains on batches of one device; yields the sum of all losses after each."""
    import tensorflow as tf

    total = tf.constant(0, tf.float64)
    for batch in batches:
        total = steps.train(batch, tf.constant(len(batch[1]), tf.float32), total)
        yield total


def _run(steps: Steps, batches: Iterable[Any]) -> float:
    *_, total = take_steps(steps, batches)
    return float(total)


def _measure(run: Callable[[], object]) -> float:
    """Returns the processor time of all threads."""
    start = time.process_time()
    run()
    return time.process_time() - start


def measure_head() -> float:
    """Returns patches per second of an epoch of the head, the best of some."""
    from baselines.training import Outputs, Trainer

    draws = np.random.default_rng(0)
    settings = Settings(
        model="inception_v2", validation_split="none", epochs=_HEAD_EPOCHS
    )
    data = MemoryData(
        draws.random((_HEAD_PATCHES, NUM_FEATURES), np.float32),
        draws.integers(0, 2, (_HEAD_PATCHES, 43), np.uint8),
        [str(number) for number in range(_HEAD_PATCHES)],
    )
    trainer = Trainer(
        settings,
        lambda: build_trained_part(settings, {}),
        data,
        None,
        choose_strategy(),
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer.run(Outputs(Path(folder, "states"), Path(folder, "logs"), quiet=True))
    return _HEAD_PATCHES / min(trainer.state.seconds)


def format_results(results: dict[str, Any]) -> str:
    """Returns the figures as tables in Markdown."""
    lines = ["| what | measured | bound |", "| --- | --- | --- |"]
    for found in results.get("input", []):
        turns, batch = found["cpu_seconds_per_1000"], found["batch_size"]
        store, memory = (statistics.median(turns[name]) for name in ("store", "memory"))
        lines += [
            f"| step of {batch}, store, CPU s / 1,000 patches | {store:.2f} | |",
            f"| step of {batch}, memory, CPU s / 1,000 patches | {memory:.2f} | |",
            f"| their ratio | {found['ratio']:.3f} | ≤ {MAX_RATIO:.2f} |",
        ]
    if "head_rate" in results:
        rate = results["head_rate"]
        lines.append(f"| head, patches/s | {rate:,.0f} | ≥ {MIN_HEAD_RATE:,} |")
    tables = ["\n".join(lines)] if len(lines) > 2 else []
    if "feeding" in results:
        tables.append(feeding.format_results(results["feeding"]))
    if "graph" in results:
        tables.append(graph_input.format_results(results["graph"]))
    return "\n\n".join(tables)


def _define_flags() -> None:
    command.define_path("data_dir", None, "Data directory of the build.", required=True)
    flags.DEFINE_list("parts", "input,head,feeding", "What to measure.")
    flags.DEFINE_list("batch_size", "128", "Patches of a batch; several are measured.")
    flags.DEFINE_list("step_ms", "1,2.2,8", "Lengths of a step, for `feeding`.")
    flags.DEFINE_integer("patches", 8_192, "Patches of a turn, of `feeding`, `graph`.")
    define_read_ahead()
    command.define_path("output", None, "JSON file to write.")


def _main() -> None:
    refuse_cluster("benchmarks.training")
    values = flags.FLAGS
    sizes = [int(size) for size in values.batch_size]
    ahead = ReadAhead(values.parallel_reads, values.batches_ahead)
    results: dict[str, Any] = {}
    if "input" in values.parts:
        results["input"] = [measure_input(values.data_dir, size) for size in sizes]
    if "head" in values.parts:
        results["head_rate"] = measure_head()
    if "feeding" in values.parts:
        results["feeding"] = [
            feeding.measure_feeding(
                values.data_dir,
                size,
                float(step_ms),
                patches=values.patches,
                turns=ALTERNATIONS,
                ahead=ahead,
            )
            for size in sizes
            for step_ms in values.step_ms
        ]
    if "graph" in values.parts:
        results["graph"] = [
            graph_input.measure_graph(
                values.data_dir,
                size,
                patches=values.patches,
                turns=ALTERNATIONS,
                ahead=ahead,
            )
            for size in sizes
        ]
    print(format_results(results))
    if values.output:
        write_json(results, values.output)
    else:
        print(json.dumps(results))


if __name__ == "__main__":
    command.run(_main, _define_flags)
