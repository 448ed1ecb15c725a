"""Measures the recipe for PyTorch (docs/recipes.md): a small network fed from Arrow.

Needs torch, NumPy, pyarrow and absl, nothing else.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.gpu.drawn import write_patches
from benchmarks.gpu.results import HELD, Case, Result, list_cases, time_feed
from bigearthnet.loading.targets import choose_target
from bigearthnet.loading.to_torch import TorchPatches
from bigearthnet.release.nomenclature import CLC43

if TYPE_CHECKING:
    import torch

CASES = list_cases(["small CNN"])


def prepare(work: Path, num_patches: int, batch_size: int) -> Callable[[Case], Result]:
    """Draws the patches, and returns what measures a case; see `with_tensorflow`."""
    reader = write_patches(work, num_patches)
    assert reader.config is not None
    labels = choose_target(reader.config, "labels", None)
    patches = TorchPatches(reader, "all", labels, augment)
    return functools.partial(_measure, patches, batch_size)


def describe_device() -> dict[str, str]:
    """Returns the name of the GPU, and versions."""
    import torch

    has_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if has_gpu else "the CPU alone, no GPU"
    return {"device": device, "versions": f"PyTorch {torch.__version__}"}


def augment(images: torch.Tensor) -> torch.Tensor:
    """Mirrors and turns the images of a batch, and makes reflectance of them."""
    import torch

    if torch.rand(()) < 0.5:
        images = images.flip(-1)
    return images.rot90(int(torch.randint(4, ())), (-2, -1)) / 10_000


def _measure(patches: TorchPatches, batch_size: int, case: Case) -> Result:
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    is_tf32 = case.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = is_tf32
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(0)
    train = functools.partial(
        _train, *_build(device), device, is_bf16=case.precision == "bf16"
    )
    load = functools.partial(_load, patches, batch_size, device.type != "cpu")

    def start_held(steps: int) -> Iterator[Any]:
        batch = [values.to(device) for values in next(iter(load(0, 1)))]
        return train(batch for _ in range(steps))

    def start(workers: int, steps: int) -> Iterator[Any]:
        return train(load(workers, steps))

    step_s = {HELD: time_feed(start_held)}
    for workers in sorted({0, 2, os.cpu_count() or 2}):
        feed = f"{workers} workers" if workers else "no workers"
        step_s[feed] = time_feed(functools.partial(start, workers))
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    return Result(case, batch_size, step_s, memory)


def _build(device: torch.device) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    import torch

    model = torch.nn.Sequential(
        torch.nn.Conv2d(12, 8, 5, stride=4),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, len(CLC43)),
    ).to(device)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def _load(
    patches: TorchPatches, batch_size: int, is_pinned: bool, workers: int, steps: int
) -> Any:
    """Returns a loader of as many batches, in a drawn order."""
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler

    rows = RandomSampler(patches, replacement=True, num_samples=steps * batch_size)
    batches = BatchSampler(rows, batch_size, drop_last=False)
    return DataLoader(
        patches,
        sampler=batches,
        batch_size=None,
        num_workers=workers,
        pin_memory=is_pinned,
    )


def _train(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
    batches: Any,
    *,
    is_bf16: bool,
) -> Iterator[torch.Tensor]:
    """Trains on batches; yields the loss of each."""
    import torch

    for images, labels in batches:
        images, labels = (v.to(device, non_blocking=True) for v in (images, labels))
        with torch.autocast(device.type, torch.bfloat16, enabled=is_bf16):
            logits = model(images)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits.float(), labels
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()
