r"""Trains one of the models, or resumes a training that was stopped.

The flagfiles of the runs lie in baselines/flags/; --run=NAME takes one of them wherever
the package is installed, and other flags change it. A folder holds one run: the same
command resumes it where it stopped, and ends with the same bits on the same machine;
more --epochs go on, where the learning rate is constant; other settings are refused.
WORKDIR then has

  settings.json       every flag, the hash of the patch ids, order of classes and bands,
                      scaling, versions of packages
  weights.weights.h5  the weights of the last epoch, or of the best one if early
                      stopping was asked for
  training.json       the losses of each epoch, and of the validation split F1 and F2
                      per patch at 0.5 and average precision, macro and micro
  checkpoints/, logs/ states to resume from; event files for TensorBoard

Several GPUs are used where they are, and several hosts where TF_CONFIG names them
(docs/cluster.md).

Example:
  python -m baselines.train --run=s_cnn_all --data_dir=data --workdir=runs/all_0
  python -m baselines.train --flagfile=baselines/flags/s_cnn_rgb.flags \
    --data_dir=data --workdir=runs/rgb_1
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from absl import flags

from baselines import settings_flags, workdir
from baselines.backend import check_keras, describe_device, set_precision
from baselines.cached_data import Place, cache_patches, check_memory
from baselines.cluster import is_chief, report_lost_hosts
from baselines.frequency import balance_classes
from baselines.frozen_features import load_or_make_features
from baselines.initial_weights import (
    InitialWeights,
    describe_initial_weights,
    read_initial_weights,
    set_initial_weights,
)
from baselines.input_pipeline import PatchData, ReadAhead, StoreData
from baselines.models import build_trained_part
from baselines.models.preprocessing import choose_statistics, describe_scaling
from baselines.models.weights import describe_weights
from baselines.optimizers import choose_policy, choose_strategy
from baselines.settings import Settings
from baselines.splits import NO_SPLIT
from baselines.stored_rows import open_random_access
from baselines.training import Outputs, Trainer, check_options
from baselines.training_text import describe_end, describe_start
from baselines.workdir import Run
from bigearthnet.errors import OptionError
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.files import write_json
from bigearthnet.util.options import look_up

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt
    import tensorflow as tf

_FLAGS_FOLDER = Path(__file__).parent / "flags"


@report_lost_hosts()
def train(
    chosen: Settings,
    data_dir: Path,
    folder: Path,
    *,
    weights_path: Path | None = None,
    features_dir: Path | None = None,
    init_from: Path | None = None,
    checkpoint_every_steps: int = 0,
    ahead: ReadAhead | None = None,
    cache: Place = "none",
    restart: bool = False,
    quiet: bool = False,
) -> None:
    """Trains a model to its end, on all hosts that `TF_CONFIG` names.

    Args:
        chosen: What to train, and how.
        data_dir: The data directory of the build.
        folder: The run's folder; made if missing.
        weights_path: Checkpoint of inception_v2.
        features_dir: Folder of its cached features; None for one in the workdir.
        init_from: Workdir of a finished run, or an export, whose weights training
            starts from; see `initial_weights`.
        checkpoint_every_steps: Saves a state after as many steps, too.
        ahead: How far to read ahead.
        cache: Where the patches to train on are kept.
        restart: Deletes what an earlier run left in the folder.
        quiet: Shows no progress.

    Raises:
        OptionError: If settings, data and folder do not go together, or a folder must
            not be there; see `store.outputs.check_output`.
        StoreError: If there is no store, or one of its files is missing.
        ShardError: If the store is damaged.
        WeightsError: If the weights of inception_v2 are missing or are others.
        CheckpointError: If the state to resume from is damaged.
        CacheError: If kept features are of another network.
        ClusterError: If another host has ended, or does something else.
    """
    _check_alone(chosen, checkpoint_every_steps, init_from, cache)
    check_output(folder, "workdir")
    if features_dir is not None:
        check_output(features_dir, "features_dir")
    check_keras("baselines.train")
    set_precision(chosen)
    strategy = choose_strategy()
    train_data, validation_data = open_train_data(chosen, data_dir, ahead)
    run = describe_run(chosen, train_data, validation_data, weights_path=weights_path)
    check_options(chosen, train_data, strategy)
    initial = None
    if init_from is not None:
        part = build_trained_part(chosen, run.statistics)
        initial = read_initial_weights(init_from, part, chosen)
        run = dataclasses.replace(run, initial_weights=initial.record)
        print(f"init_from: {describe_initial_weights(initial)}", flush=True)
    check_memory(train_data, cache, strategy)
    writes = is_chief(strategy)
    outputs = Outputs(
        folder / workdir.CHECKPOINTS,
        folder / workdir.LOGS,
        checkpoint_every_steps,
        quiet or not writes,
    )
    with workdir.claim_run(folder, run, strategy, restart=restart):
        if (folder / workdir.TRAINING).is_file():
            print(
                f"{folder} is trained already; more --epochs go on, --restart trains "
                "it anew."
            )
            return
        class_weights = _balance(chosen, train_data)
        data: tuple[PatchData, PatchData | None] = (train_data, validation_data)
        if chosen.uses_features:
            load = functools.partial(
                load_or_make_features,
                chosen,
                weights_path=weights_path,
                cache_dir=features_dir or folder / workdir.FEATURES,
                strategy=strategy,
                quiet=outputs.quiet,
            )
            data = load(train_data), validation_data and load(validation_data)
        start = functools.partial(
            describe_start,
            run,
            store=train_data.store.place,
            device=describe_device(strategy.num_replicas_in_sync),
        )
        trainer = _run_training(
            run, *data, start, initial, class_weights, strategy, outputs, cache
        )
        if writes:
            digest = workdir.save_weights(trainer.model, folder)
            content = {"weights_sha256": digest, **trainer.to_json()}
            write_json(content, folder / workdir.TRAINING)
    if not outputs.quiet:
        needs = {"weights_path": weights_path, "features_dir": features_dir}
        print(describe_end(folder, data_dir, needs if chosen.uses_features else {}))


def _check_alone(
    chosen: Settings, every_steps: int, init_from: Path | None, cache: Place
) -> None:
    """Refuses options that have no meaning, whatever the data are; see `train`."""
    if every_steps < 0:
        raise OptionError(
            f"checkpoint_every_steps: expected 0 or more, got {every_steps}."
        )
    if chosen.frozen_epochs and init_from is None:
        raise OptionError(
            "frozen_epochs: expected 0 without --init_from, as weights that were drawn "
            f"are worth nothing frozen, got {chosen.frozen_epochs}."
        )
    if chosen.uses_features and cache != "none":
        raise OptionError(
            f"cache: expected none for {chosen.model}, whose features are in memory "
            f"anyway, got {cache}."
        )


def _balance(chosen: Settings, data: StoreData) -> npt.NDArray[np.float32] | None:
    """Returns the weights of classes, if they are asked for."""
    if chosen.class_weights != "balanced":
        return None
    return balance_classes(data.read_labels(np.arange(data.num_patches)))


def describe_run(
    chosen: Settings,
    train_data: StoreData,
    validation_data: StoreData | None,
    *,
    weights_path: Path | None,
) -> Run:
    """Returns the description of a run that settings.json holds.

    Args:
        chosen: What to train, and how.
        train_data: The patches to train on.
        validation_data: Those whose loss is shown, if any.
        weights_path: Checkpoint of inception_v2.

    Raises:
        OptionError: If the store has no statistics.
        WeightsError: If the weights are missing.
    """
    data = {
        "train": _describe_data(train_data),
        "validation": validation_data and _describe_data(validation_data),
    }
    if chosen.uses_features:
        weights = describe_weights(chosen.weights, weights_path, chosen.seed)
        clipped = {"formula": "2 * clip(DN / rgb_max, 0, 1) - 1"}
        return Run(chosen, data, {**clipped, "rgb_max": chosen.rgb_max}, weights)
    statistics = choose_statistics(
        chosen.statistics, chosen.bands, train_data.store.statistics
    )
    formula = describe_scaling(chosen.band_groups)
    scaling = {"formula": formula, "statistics": statistics}
    return Run(chosen, data, scaling, None)


def _describe_data(data: StoreData) -> dict[str, Any]:
    return {
        "split": data.split,
        "patches": data.num_patches,
        "ids_sha256": data.ids_sha256,
        "synthetic_patches": data.synthetic_patches,
    }


def open_train_data(
    chosen: Settings, data_dir: Path, ahead: ReadAhead | None = None
) -> tuple[StoreData, StoreData | None]:
    """Opens the patches to train on, and those of the validation split if any."""
    store = open_random_access(data_dir, chosen.config)
    validation = chosen.validation_split
    return (
        StoreData(store, chosen, None, ahead),
        None if validation == NO_SPLIT else StoreData(store, chosen, validation, ahead),
    )


def _run_training(
    run: Run,
    data: PatchData,
    validation: PatchData | None,
    describe: Callable[[keras.Model], str],
    initial: InitialWeights | None,
    class_weights: npt.NDArray[np.float32] | None,
    strategy: tf.distribute.Strategy,
    outputs: Outputs,
    cache: Place,
) -> Trainer:
    """Trains to the end, and returns what was trained."""
    import keras
    import tensorflow as tf

    chosen = run.settings
    keras.utils.set_random_seed(chosen.seed)
    if chosen.deterministic:
        tf.config.experimental.enable_op_determinism()
    policy = choose_policy(chosen)

    def make_model() -> keras.Model:
        model = build_trained_part(chosen, run.statistics, policy=policy)
        if initial is not None:
            set_initial_weights(model, initial)
        return model

    trainer = Trainer(
        chosen,
        make_model,
        cache_patches(data, cache, strategy),
        validation,
        strategy,
        class_weights,
    )
    if not outputs.quiet:
        print(describe(trainer.model), flush=True)
    trainer.run(outputs)
    return trainer


def find_run(name: str) -> Path:
    """Finds a flagfile that comes with the package.

    Raises:
        OptionError: If there is none of that name.
    """
    runs = {path.stem: path for path in sorted(_FLAGS_FOLDER.glob("*.flags"))}
    return look_up(runs, name, "run")


def _define_flags() -> None:
    command.define_path("data_dir", None, "Data directory, or store.", required=True)
    command.define_path("workdir", None, "Folder of the run.", required=True)
    flags.DEFINE_string("run", None, "Flagfile that comes with the package, by name.")
    command.define_path("weights_path", None, "TF-Slim checkpoint of inception_v2.")
    command.define_path(
        "features_dir", None, "Folder of its features; by default in the workdir."
    )
    command.define_path(
        "init_from", None, "Finished run, or export, whose weights to start from."
    )
    flags.DEFINE_integer(
        "checkpoint_every_steps", 0, "Saves a state after as many steps, too."
    )
    ahead = ReadAhead()
    flags.DEFINE_integer(
        "parallel_reads",
        ahead.parallel_reads,
        "Batches that are read at the same time.",
    )
    flags.DEFINE_integer(
        "batches_ahead",
        ahead.batches_ahead,
        "Batches that are read before their step.",
    )
    flags.DEFINE_enum(
        "cache",
        "none",
        get_args(Place),
        "Memory in which the patches to train on are kept: of the host, of every "
        "device, or none.",
    )
    flags.DEFINE_bool("restart", False, "Deletes what an earlier run left.")
    settings_flags.define_flags()


def _main() -> None:
    command.check_packages("baselines", "tensorflow", "sklearn")
    values = flags.FLAGS
    train(
        settings_flags.from_flags(),
        values.data_dir,
        values.workdir,
        weights_path=values.weights_path,
        features_dir=values.features_dir,
        init_from=values.init_from,
        checkpoint_every_steps=values.checkpoint_every_steps,
        ahead=ReadAhead(values.parallel_reads, values.batches_ahead),
        cache=values.cache,
        restart=values.restart,
    )


if __name__ == "__main__":
    command.run(
        _main,
        _define_flags,
        flag_files={"run": find_run},
        find_logs=lambda: flags.FLAGS.workdir / workdir.LOGS,
    )
