"""Refuses settings that have no meaning, alone or together."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from baselines.networks import ALL_BANDS
from baselines.setting_fields import check_value
from baselines.splits import NO_SPLIT, share_split, split_names
from bigearthnet.errors import LabelError, OptionError
from bigearthnet.reading.conditions import parse_where
from bigearthnet.release import V1
from bigearthnet.release.bands import BY_NAME
from bigearthnet.release.nomenclature import remap
from bigearthnet.schema.configs import Config

if TYPE_CHECKING:
    from baselines.settings import Settings

# The largest that NumPy's global generator takes, which Keras seeds, too.
_MAX_SEED = 2**32 - 1


def check_settings(settings: Settings) -> None:
    """Checks all values.

    Raises:
        OptionError: If one has no meaning.
    """
    for field in dataclasses.fields(settings):
        check_value(type(settings), field, getattr(settings, field.name))
    _check_splits(settings)
    parse_where(settings.where)
    if settings.augment and settings.uses_features:
        raise OptionError(
            f"augment: expected false for {settings.model}, whose features are "
            "computed once, got true."
        )
    if settings.sensors != "all" and settings.model != ALL_BANDS:
        raise OptionError(
            f"sensors: expected all for {settings.model}, which has bands of its own, "
            f"got {settings.sensors}."
        )
    check_stored(settings, settings.stored)
    _check_statistics(settings)
    _check_ranges(settings)


def check_stored(settings: Settings, config: Config) -> None:
    """Refuses a configuration that does not store what a model takes.

    Raises:
        OptionError: If it stores other bands, or other labels.
    """
    stored = [band.name for group in config.groups for band in group.bands]
    missing = [name for name in settings.bands if name not in stored]
    if missing or not settings.bands:
        wanted = ", ".join(missing) or f"bands of {settings.sensors}"
        raise OptionError(
            f"config: {settings.model} takes {wanted}, which {config.name} does not "
            f"store: it has {', '.join(stored)}. Expected another --config, or "
            f"--model={ALL_BANDS} with --sensors=all."
        )
    source = config.release.nomenclature
    try:
        remap(source, settings.nomenclature)
    except LabelError:
        raise OptionError(
            f"labels: patches of {config.release.name} have the classes {source.name}, "
            f"which say nothing of others: expected --labels={source.name}, got "
            f"{settings.labels}."
        ) from None


def _check_splits(settings: Settings) -> None:
    train, validation = settings.train_split, settings.validation_split
    known = settings.stored.release.splits
    split_names(train, known)
    if validation != NO_SPLIT:
        split_names(validation, known)
        if share_split(train, validation):
            raise OptionError(
                "validation_split: expected splits that train_split does not have, "
                f"got {validation} for validation and {train} for training."
            )
    elif settings.early_stopping_patience:
        raise OptionError("early_stopping_patience: needs a validation split.")


def _check_statistics(settings: Settings) -> None:
    if settings.statistics == "stored" or settings.uses_features:
        return
    if settings.stored.release != V1 or not set(settings.bands) <= set(BY_NAME):
        raise OptionError(
            "statistics: the published ones are of the Sentinel-2 bands of v1.0. "
            f"Expected stored for config {settings.config}, got published."
        )


def _check_ranges(settings: Settings) -> None:
    parts = ("dropout_conv", "dropout_fc", "momentum")
    ranges = {
        "seed": (settings.seed <= _MAX_SEED, f"at most {_MAX_SEED}"),
        "frozen_epochs": (
            settings.frozen_epochs <= settings.epochs,
            f"at most the {settings.epochs} epochs",
        ),
        "fraction": (0 < settings.fraction <= 1, "more than 0, at most 1"),
        "learning_rate": (settings.learning_rate > 0, "more than 0"),
        **{name: (getattr(settings, name) < 1, "less than 1") for name in parts},
    }
    for name, (is_good, expected) in ranges.items():
        if not is_good:
            value = getattr(settings, name)
            raise OptionError(f"{name}: expected {expected}, got {value!r}.")
