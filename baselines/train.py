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
from pathlib import Path
from typing import get_args

from absl import flags

from baselines import settings_flags, workdir
from baselines.backend import check_keras, describe_device, set_precision
from baselines.cached_data import Place, check_memory
from baselines.claims import claim_run
from baselines.cluster import is_chief, report_lost_hosts
from baselines.frozen_features import load_or_make_features
from baselines.initial_weights import (
    InitialWeights,
    describe_initial_weights,
    read_initial_weights,
)
from baselines.input_pipeline import ReadAhead
from baselines.models import build_trained_part
from baselines.optimizers import choose_strategy
from baselines.preparation import check_alone, check_options, make_trainer
from baselines.settings import Settings
from baselines.stored_rows import open_train_data
from baselines.training import Outputs
from baselines.training_text import describe_end, describe_start
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.options import look_up

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
    check_alone(chosen, checkpoint_every_steps, init_from, cache)
    check_output(folder, "workdir")
    if features_dir is not None:
        check_output(features_dir, "features_dir")
    check_keras("baselines.train")
    set_precision(chosen)
    strategy = choose_strategy()
    data = open_train_data(chosen, data_dir, ahead)
    run = workdir.describe_run(chosen, *data, weights_path=weights_path)
    check_options(chosen, data[0], strategy)
    run, initial = _take_initial_weights(run, init_from)
    check_memory(data[0], cache, strategy)
    with claim_run(folder, run, strategy, restart=restart):
        if (folder / workdir.TRAINING).is_file():
            print(
                f"{folder} is trained already; more --epochs go on, --restart trains "
                "it anew."
            )
            return
        writes = is_chief(strategy)
        quiet = quiet or not writes
        load = functools.partial(
            load_or_make_features,
            chosen,
            weights_path=weights_path,
            cache_dir=features_dir or folder / workdir.FEATURES,
            strategy=strategy,
            quiet=quiet,
        )
        trainer = make_trainer(run, data, load, initial, strategy, cache)
        if not quiet:
            device = describe_device(strategy.num_replicas_in_sync)
            print(
                describe_start(run, trainer.model, store=data[0].stores, device=device)
            )
        logs, states = folder / workdir.LOGS, folder / workdir.CHECKPOINTS
        trainer.run(Outputs(states, logs, checkpoint_every_steps, quiet))
        if writes:
            workdir.save_training(trainer.model, folder, trainer.to_json())
    if not quiet:
        needs = {"weights_path": weights_path, "features_dir": features_dir}
        print(describe_end(folder, data_dir, needs if chosen.uses_features else {}))


def _take_initial_weights(
    run: workdir.Run, init_from: Path | None
) -> tuple[workdir.Run, InitialWeights | None]:
    """Returns a run that names the weights it starts from, and these; None if drawn."""
    if init_from is None:
        return run, None
    part = build_trained_part(run.settings, run.statistics)
    initial = read_initial_weights(init_from, part, run.settings)
    print(f"init_from: {describe_initial_weights(initial)}", flush=True)
    return dataclasses.replace(run, initial_weights=initial.record), initial


def find_run(name: str) -> Path:
    """Finds a flagfile that comes with the package.

    Raises:
        OptionError: If there is none of that name.
    """
    runs = {path.stem: path for path in sorted(_FLAGS_FOLDER.glob("*.flags"))}
    return look_up(runs, name, "run")


def define_read_ahead() -> None:
    """Defines the flags of `ReadAhead`."""
    reads, batches = dataclasses.astuple(ReadAhead())
    flags.DEFINE_integer("parallel_reads", reads, "Batches read at the same time.")
    flags.DEFINE_integer("batches_ahead", batches, "Batches read before their step.")


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
    define_read_ahead()
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
