r"""Makes the workdir of a model from weights that the authors released for it.

They released checkpoints of TensorFlow 1 of ResNet, VGG and K-Branch CNN, each for 43
and 19 classes, trained on the official split. Nothing is trained here: the workdir has
the settings of --run, and the checkpoint's weights, which `baselines.evaluate`,
`baselines.predict` and `baselines.export` take as they do trained ones. A checkpoint
that lacks a variable of the model, or has one more, is refused.

Example:
  python -m baselines.import_weights --run=resnet50_rsim --data_dir=data \
    --checkpoint=ResNet50_BigEarthNet_original_labels --workdir=runs/resnet50_released
  python -m baselines.evaluate --workdir=runs/resnet50_released --data_dir=data
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from absl import flags

from baselines import settings_flags, workdir
from baselines.backend import check_keras
from baselines.claims import lock_workdir, start_run
from baselines.models import build_model
from baselines.models.released import describe_released_weights, load_released_weights
from baselines.networks import RELEASED_MODELS
from baselines.settings import Settings
from baselines.stored_rows import open_train_data
from baselines.train import find_run
from bigearthnet.errors import OptionError
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command


def import_weights(
    chosen: Settings,
    data_dir: Path,
    folder: Path,
    checkpoint: Path,
    *,
    restart: bool = False,
) -> None:
    """Makes a workdir of released weights; one that is there already is left alone.

    Args:
        chosen: The model, its classes, and how the authors trained it.
        data_dir: The data directory of the build, for the split they trained on.
        folder: The workdir; made if missing.
        checkpoint: See `models.slim_checkpoint.load_slim_checkpoint`.
        restart: Deletes what an earlier run left in the folder.

    Raises:
        OptionError: If no weights of the model were released, or settings, data and
            folder do not go together.
        StoreError: If there is no store, or one of its files is missing.
        ShardError: If the store is damaged.
        WeightsError: If the checkpoint is missing, damaged, or of another model.
    """
    if chosen.model not in RELEASED_MODELS:
        raise OptionError(
            f"model: expected one whose weights the authors released, "
            f"{', '.join(RELEASED_MODELS)}, got {chosen.model!r}."
        )
    check_output(folder, "workdir")
    check_keras("baselines.import_weights")
    weights = describe_released_weights(checkpoint)
    data = open_train_data(chosen, data_dir)
    run = workdir.describe_run(chosen, *data, weights_path=None)
    run = dataclasses.replace(run, frozen_weights=weights)
    model = build_model(chosen, run.statistics)
    load_released_weights(model, checkpoint)
    with lock_workdir(folder):
        start_run(folder, run, restart=restart)
        if (folder / workdir.TRAINING).is_file():
            return
        workdir.save_training(model, folder)


def _define_flags() -> None:
    command.define_path("data_dir", None, "Data directory, or store.", required=True)
    command.define_path("workdir", None, "Folder of the model.", required=True)
    flags.DEFINE_string("run", None, "Flagfile that comes with the package, by name.")
    command.define_path("checkpoint", None, "The authors' checkpoint.", required=True)
    flags.DEFINE_bool("restart", False, "Deletes what an earlier run left.")
    settings_flags.define_flags()


def _main() -> None:
    command.check_packages("baselines", "tensorflow")
    values = flags.FLAGS
    folder = values.workdir
    chosen = settings_flags.from_flags()
    print(
        f"imports {chosen.model}, {len(chosen.nomenclature)} classes "
        f"({chosen.nomenclature.name}), from {values.checkpoint}",
        file=sys.stderr,
    )
    import_weights(
        chosen,
        values.data_dir,
        folder,
        values.checkpoint,
        restart=values.restart,
    )
    print(
        f"{folder}: {workdir.WEIGHTS}, {workdir.SETTINGS}\n"
        f"next: python -m baselines.evaluate --workdir={folder} "
        f"--data_dir={values.data_dir}"
    )


if __name__ == "__main__":
    command.run(
        _main,
        _define_flags,
        flag_files={"run": find_run},
        find_logs=lambda: flags.FLAGS.workdir / workdir.LOGS,
    )
