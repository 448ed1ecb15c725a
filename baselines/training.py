"""The training loop: epochs of compiled steps; resumes at any step."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.cluster import is_chief
from baselines.input_pipeline import PatchData, count_patch_nbytes, unwrap_errors
from baselines.logs import Log, open_log
from baselines.metrics import compute_epoch_metrics
from baselines.models.augmentation import augment
from baselines.optimizers import choose_jit, make_optimizer, make_schedule
from baselines.settings import Settings
from baselines.steps import Steps
from baselines.training_states import (
    State,
    copy_weights,
    load_state,
    save_state,
    set_weights,
)
from bigearthnet.errors import OptionError
from bigearthnet.util.progress import Progress

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt
    import tensorflow as tf

# Steps between two learning rates and losses in the logs.
_LOG_STEPS = 50


@dataclass(frozen=True)
class Outputs:
    """Where a training writes to.

    Attributes:
        checkpoints: Folder of the states. One is saved after each epoch.
        logs: Folder of the logs.
        every_steps: Also saves a state each time this many steps are done; 0 for
            only after epochs.
        quiet: Shows no progress.
    """

    checkpoints: Path
    logs: Path
    every_steps: int = 0
    quiet: bool = False


class Trainer:
    """Trains one model on one data set.

    Attributes:
        model: The model.
        state: How far training is.
    """

    def __init__(
        self,
        settings: Settings,
        make_model: Callable[[], keras.Model],
        train: PatchData,
        validation: PatchData | None,
        strategy: tf.distribute.Strategy,
        class_weights: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Builds model, optimizer and steps.

        Args:
            settings: How to train.
            make_model: Builds the model, from the inputs of the data to logits.
            train: What to train on.
            validation: What to compute a loss on after each epoch.
            strategy: Where to compute.
            class_weights: What `frequency.balance_classes` returned; None for 1.

        Raises:
            OptionError: If the settings and the data do not go together.
        """
        check_options(settings, train, strategy)
        self._settings, self._train, self._validation = settings, train, validation
        self._strategy = strategy
        self._num_batches = _count_batches(settings, train)
        with strategy.scope():
            self.model = make_model()
            self._optimizer = make_optimizer(settings, self._num_batches)
        jit_compile = choose_jit(settings, strategy)
        self._steps = Steps(
            self.model,
            self._optimizer,
            strategy,
            functools.partial(train.batches, settings.batch_size, seed=None),
            jit_compile=jit_compile,
            augment=_make_augment(settings),
            class_weights=class_weights,
        )
        self.state = State()

    def run(self, outputs: Outputs) -> None:
        """Trains to the end, from the last state that was saved.

        Args:
            outputs: Where states and logs go. On several hosts, the chief alone writes
                there, and all read the states.

        Raises:
            CheckpointError: If the last state is damaged or of another model.
            OptionError: If the loss is no longer finite.
            ShardError: If a shard is damaged.
            OSError: If a file cannot be written.
        """
        folder = outputs.checkpoints
        self.state = load_state(folder, self.model, self._optimizer) or State()
        ignore: Log = lambda name, value, step: None  # noqa: E731
        is_writer = is_chief(self._strategy)
        opened = open_log(outputs.logs) if is_writer else contextlib.nullcontext(ignore)
        with opened as log, unwrap_errors():
            while not self._is_done():
                start = time.monotonic()
                self._run_batches(outputs, log)
                self._end_epoch(log, time.monotonic() - start, outputs.quiet)
                self._save(outputs)
        if self.state.best_weights:
            set_weights(self.model, self.state.best_weights)

    def to_json(self) -> dict[str, Any]:
        """Returns the content of training.json, without the checksum of the weights."""
        state, chosen = self.state, self._settings.early_stopping_patience > 0
        return {
            "steps": state.step,
            "epochs": state.history,
            "weights_of_epoch": state.best_epoch if chosen else state.epoch,
            "times": {"epoch_seconds": [round(s, 3) for s in state.seconds]},
        }

    def _save(self, outputs: Outputs) -> None:
        save_state(
            outputs.checkpoints,
            self.state,
            self.model,
            self._optimizer,
            write=is_chief(self._strategy),
        )

    def _is_done(self) -> bool:
        state, patience = self.state, self._settings.early_stopping_patience
        waited = patience and state.epoch - state.best_epoch >= patience
        return state.epoch >= self._settings.epochs or bool(waited)

    def _run_batches(self, outputs: Outputs, log: Log) -> None:
        """Trains on what is left of an epoch."""
        import tensorflow as tf

        settings, state, every = self._settings, self.state, outputs.every_steps
        batches = self._train.feed(
            self._steps.distribute,
            settings.batch_size,
            seed=settings.seed,
            epoch=state.epoch,
            start_batch=state.batch,
        )
        nbytes = count_patch_nbytes(self._train)
        total = tf.constant(state.loss_total, tf.float64)
        left = self._train.num_patches - state.batch * settings.batch_size
        stage = f"epoch {state.epoch + 1}/{settings.epochs}"
        with Progress(stage, total_patches=left, quiet=outputs.quiet) as progress:
            for batch in batches:
                count, before = min(settings.batch_size, left), total
                total = self._steps.train(batch, tf.constant(count, tf.float32), total)
                left -= count
                state.step, state.batch = state.step + 1, state.batch + 1
                progress.add(count, count * nbytes)
                if state.step % _LOG_STEPS == 0:
                    self._log_step(log, float(total - before) / count)
                if left and every and state.step % every == 0:
                    state.loss_total = float(total)
                    self._save(outputs)
        state.loss_total = float(total)

    def _log_step(self, log: Log, loss: float) -> None:
        log("loss/batch", loss, self.state.step)
        rate = float(self._optimizer.learning_rate)
        log("learning_rate", rate, self.state.step)

    def _end_epoch(self, log: Log, seconds: float, quiet: bool) -> None:
        """Notes the losses of an epoch that is done."""
        state = self.state
        state.epoch, state.batch = state.epoch + 1, 0
        losses: dict[str, Any] = {"loss": state.loss_total / self._train.num_patches}
        self._check_loss(losses["loss"])
        state.loss_total = 0.0
        if self._validation is not None:
            found = self.validate(self._validation)
            losses |= {f"validation_{name}": value for name, value in found.items()}
        state.history.append({"epoch": state.epoch, **losses})
        state.seconds.append(seconds)
        for name, value in losses.items():
            if value is not None:
                log(f"{name}/epoch", value, state.step)
        if self._settings.early_stopping_patience:
            self._keep_best(
                losses[f"validation_{self._settings.early_stopping_metric}"]
            )
        if not quiet:
            known = {name: v for name, v in losses.items() if v is not None}
            texts = [f"{name} {value:.4f}" for name, value in known.items()]
            print(f"epoch {state.epoch}: {', '.join(texts)}", flush=True)

    def _check_loss(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise OptionError(
                f"the loss of epoch {self.state.epoch} is {loss}: training has "
                "diverged. Expected a lower --learning_rate."
            )

    def _keep_best(self, value: float | None) -> None:
        """Keeps the weights if a metric, of which 1 is best, or the loss is better."""
        state, metric = self.state, self._settings.early_stopping_metric
        if value is None:
            raise OptionError(
                f"early_stopping_metric: {metric} has no meaning, as no validation "
                "patch has a label. Expected loss, or another validation split."
            )
        loss = value if metric == "loss" else 1 - value
        if state.best_loss is None or loss < state.best_loss:
            state.best_loss, state.best_epoch = loss, state.epoch
            state.best_weights = copy_weights(self.model)

    def validate(self, data: PatchData) -> dict[str, float | None]:
        """Computes what is said of patches after each epoch.

        Args:
            data: The patches.

        Returns:
            `loss`, without penalties and dropout, and what
            `metrics.compute_epoch_metrics` says.

        Raises:
            OptionError: If the loss is no longer finite.
        """
        import tensorflow as tf

        total, scores, labels = tf.constant(0, tf.float64), [], []
        batch_size = self._settings.batch_size
        for batch in data.feed(self._steps.distribute, batch_size, seed=None):
            total, probability, truth = self._steps.validate(batch, total)
            scores.append(probability.numpy())
            labels.append(truth.numpy().astype(np.uint8))
        loss = float(total) / data.num_patches
        self._check_loss(loss)
        found = compute_epoch_metrics(np.concatenate(labels), np.concatenate(scores))
        return {"loss": loss, **found}


def check_options(
    settings: Settings, train: PatchData, strategy: tf.distribute.Strategy
) -> None:
    """Refuses what a `Trainer` would, before anything is built or written.

    Args:
        settings: How to train.
        train: What to train on.
        strategy: Where to compute.

    Raises:
        OptionError: If the settings and the data do not go together.
    """
    devices = strategy.num_replicas_in_sync
    last = train.num_patches % settings.batch_size or settings.batch_size
    if settings.batch_norm and last < devices:
        # Batch normalization has no mean on a device without patches.
        raise OptionError(
            f"batch_size: the last batch of {train.num_patches:,} patches has {last}, "
            f"fewer than the {devices} devices, and batch normalization needs one for "
            "each. Expected another batch size."
        )
    make_schedule(settings, settings.epochs * _count_batches(settings, train))
    choose_jit(settings, strategy)


def _make_augment(settings: Settings) -> Callable[..., Any] | None:
    if not settings.augment:
        return None
    seed, batch_size = settings.seed, settings.batch_size
    return functools.partial(augment, seed=seed, batch_size=batch_size)


def _count_batches(settings: Settings, train: PatchData) -> int:
    return -(-train.num_patches // settings.batch_size)
