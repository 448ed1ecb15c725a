"""The training loop: epochs of compiled steps; resumes at any step."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.cluster import is_chief
from baselines.epoch_pictures import draw_patches
from baselines.input_pipeline import Order, PatchData, unwrap_errors
from baselines.logs import Logs
from baselines.metrics import compute_epoch_metrics
from baselines.pace import Pace, Waiting, measure_memory
from baselines.phases import Phases
from baselines.settings import Settings
from baselines.training_states import (
    State,
    copy_weights,
    load_state,
    save_state,
    set_weights,
)
from baselines.training_text import describe_epoch
from bigearthnet.errors import OptionError
from bigearthnet.util.progress import Progress

if TYPE_CHECKING:
    import keras
    import numpy as np
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
            OptionError: If the settings and the data do not go together; see also
                `preparation.check_options`.
        """
        self._settings, self._train, self._validation = settings, train, validation
        self._strategy = strategy
        with strategy.scope():
            self.model = make_model()
        self._phases = Phases(settings, self.model, train, strategy, class_weights)
        self._phase = self._phases.begin(settings.epochs)
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
        self.state = load_state(folder, self.model, *self._phases.optimizers) or State()
        state, quiet = self.state, outputs.quiet
        if state.step and not quiet:
            print(f"goes on after step {state.step:,}", flush=True)
        logs_folder = outputs.logs if is_chief(self._strategy) else None
        begin, first = time.monotonic(), state.epoch
        with contextlib.closing(Logs(logs_folder)) as logs, unwrap_errors():
            while not self._is_done():
                self._phase = self._phases.begin(state.epoch)
                pace = self._run_batches(outputs, logs)
                numbers = self._end_epoch(logs, pace)
                self._save(outputs)
                each = (time.monotonic() - begin) / (state.epoch - first)
                left = each * (self._settings.epochs - state.epoch)
                if not quiet:
                    text = describe_epoch(numbers, self._settings, pace, left)
                    print(text, flush=True)
        if state.best_weights:
            set_weights(self.model, state.best_weights)

    def to_json(self) -> dict[str, Any]:
        """Returns the content of training.json, without the checksum of the weights."""
        state, chosen = self.state, self._settings.early_stopping_patience > 0
        return {
            "steps": state.step,
            "epochs": state.history,
            "weights_of_epoch": state.best_epoch if chosen else state.epoch,
            "times": {
                "epoch_seconds": [round(s, 3) for s in state.seconds],
                "paces": state.paces,
            },
        }

    def _save(self, outputs: Outputs) -> None:
        save_state(
            outputs.checkpoints,
            self.state,
            self.model,
            *self._phases.optimizers,
            write=is_chief(self._strategy),
        )

    def _is_done(self) -> bool:
        state, patience = self.state, self._settings.early_stopping_patience
        waited = patience and state.epoch - state.best_epoch >= patience
        return state.epoch >= self._settings.epochs or bool(waited)

    def _run_batches(self, outputs: Outputs, logs: Logs) -> Pace:
        """Trains on what is left of an epoch."""
        import tensorflow as tf

        settings, state, every = self._settings, self.state, outputs.every_steps
        start, size = time.monotonic(), settings.batch_size
        order = Order(size, settings.seed, state.epoch, state.batch)
        batches = Waiting(self._train.feed(self._strategy, order))
        nbytes = self._train.count_nbytes()
        total = tf.constant(state.loss_total, tf.float64)
        patches = left = self._train.num_patches - state.batch * size
        stage, quiet = f"epoch {state.epoch + 1}/{settings.epochs}", outputs.quiet
        with Progress(stage, total_patches=left, quiet=quiet, ends=False) as progress:
            for batch in batches:
                count, before = min(size, left), total
                taken = tf.constant(count, tf.float32)
                total = self._phase.steps.train(batch, taken, total)
                left -= count
                state.step, state.batch = state.step + 1, state.batch + 1
                progress.add(count, count * nbytes)
                if state.step % _LOG_STEPS == 0:
                    self._log_step(logs, float(total - before) / count)
                if left and every and state.step % every == 0:
                    state.loss_total = float(total)
                    self._save(outputs)
        state.loss_total = float(total)
        seconds = time.monotonic() - start
        return Pace(patches, seconds, batches.seconds, measure_memory())

    def _log_step(self, logs: Logs, loss: float) -> None:
        rate = float(self._phase.optimizer.learning_rate)
        logs.write_number("train", "loss/batch", loss, self.state.step)
        logs.write_number("train", "learning_rate", rate, self.state.step)

    def _end_epoch(self, logs: Logs, pace: Pace) -> dict[str, Any]:
        """Notes what is said of an epoch that is done, and returns it."""
        state, metric = self.state, self._settings.early_stopping_metric
        state.epoch, state.batch = state.epoch + 1, 0
        loss = state.loss_total / self._train.num_patches
        state.loss_total = 0.0
        self._check_loss(loss)
        logs.write_number("train", "loss/epoch", loss, state.step)
        found = self._validate(logs)
        numbers = {"epoch": state.epoch, "loss": loss}
        numbers |= {f"validation_{name}": value for name, value in found.items()}
        state.history.append(numbers)
        state.seconds.append(pace.seconds)
        state.paces.append(pace.to_json())
        if self._settings.early_stopping_patience:
            self._keep_best(found[metric])
        return numbers

    def _validate(self, logs: Logs) -> dict[str, Any]:
        """Computes and logs what is said of the validation split; nothing without."""
        data, step = self._validation, self.state.step
        if data is None:
            return {}
        batch_size = self._settings.batch_size
        loss, labels, probability = self._phase.steps.score(data, batch_size)
        self._check_loss(loss)
        found = {"loss": loss, **compute_epoch_metrics(labels, probability)}
        for name, value in found.items():
            if value is not None:
                logs.write_number("validation", f"{name}/epoch", value, step)
        if logs.writes:
            classes = self._settings.nomenclature
            for patch_id, png in draw_patches(data, probability, classes):
                logs.write_picture("validation", f"patch/{patch_id}", png, step)
        return found

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
