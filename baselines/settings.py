"""`Settings`: everything that decides a trained model, as one value.

Each field is a flag of `baselines.train`; the flag's help says what it means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from absl import flags

from bigearthnet.errors import OptionError
from bigearthnet.reading.conditions import parse_where
from bigearthnet.release import V1
from bigearthnet.release.bands import BANDS, GROUPS, RGB
from bigearthnet.release.nomenclature import NOMENCLATURES, Nomenclature
from bigearthnet.util import command

# Value of `validation_split` for training without one.
NO_SPLIT = "none"
# Models of the authors' later code ("BigEarthNet Deep Learning Models with TensorFlow",
# 2019) and its order of bands, which released weights depend on; 60 m bands are left
# out but of the K-Branch CNN.
ResNet = Literal["resnet50", "resnet101", "resnet152"]
Vgg = Literal["vgg16", "vgg19"]
RELEASED_MODELS = (*get_args(ResNet), *get_args(Vgg), "k_branch")
_RELEASED_BANDS = (
    *("B04", "B03", "B02", "B08"),
    *("B05", "B06", "B07", "B8A", "B11", "B12"),
)
# Fields that settings of older runs have not; their defaults are what these did.
_ADDED = frozenset(
    {
        "augment",
        "class_weights",
        "early_stopping_metric",
        "frozen_epochs",
        "tf32",
        "weight_decay",
        "where",
    }
)
# The largest that NumPy's global generator takes, which Keras seeds, too.
_MAX_SEED = 2**32 - 1


def _field(default: Any, description: str, least: float = 0) -> Any:
    """Describes a field: its flag's help, and the lowest number that has a meaning."""
    metadata = {"help": description, "least": least}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """What a model is, what it is trained on, and how.

    Raises:
        OptionError: If a value has no meaning.
    """

    model: Literal[
        "s_cnn_rgb", "s_cnn_all", "inception_v2", ResNet, Vgg, "k_branch"
    ] = _field("s_cnn_all", "Which model to train.")

    config: Literal["s2", "s2-random"] = _field(
        "s2", "s2 for the official splits, s2-random for the paper's protocol."
    )
    train_split: str = _field(
        "train", f"Splits to train on, joined by +: {', '.join(V1.splits)}."
    )
    validation_split: str = _field(
        "validation",
        f"Splits whose loss is shown after each epoch, joined by +, or {NO_SPLIT}.",
    )
    where: str = _field(
        "",
        "Train patches to use, for example country=Portugal|Austria; season=summer; "
        "labels=Airports; date=2017-06-01..2017-08-31. Validation and evaluation take "
        "whole splits.",
    )
    fraction: float = _field(1.0, "Part of the train patches to use, drawn by seed.")
    labels: Literal["clc43", "ben19", "clc_level2", "clc_level1"] = _field(
        "clc43", "Classes to learn."
    )
    shuffle_labels: bool = _field(
        False,
        "Gives each train patch the labels of another: a check, which must learn "
        "nothing beyond the frequency of classes.",
    )

    statistics: Literal["stored", "published"] = _field(
        "stored",
        "Mean and deviation of bands: of the train split, as the build stored them, "
        "or the published ones. Without meaning for inception_v2.",
    )
    upsampling: Literal["bicubic", "bicubic_tf1"] = _field(
        "bicubic",
        "How 20 and 60 m bands become 120 × 120: with half-pixel centres, or as "
        "TensorFlow 1 did it, which shifts them.",
    )
    rgb_max: int = _field(
        2000, "Digital number that is full brightness to inception_v2.", least=1
    )
    inception_size: int = _field(224, "Pixels of a side for inception_v2.", least=32)
    weights: Literal["pretrained", "random"] = _field(
        "pretrained",
        "Weights of inception_v2; random ones only test that everything runs.",
    )
    features_dtype: Literal["float32", "float16"] = _field(
        "float32",
        "How the features of inception_v2 are kept; float16 takes half the space.",
    )

    fc_units: int = _field(
        128, "Units of fully connected layers; ResNet has none, VGG 4096.", least=1
    )
    third_pool: bool = _field(False, "S-CNN: pools after the third convolution, too.")
    batch_norm: bool = _field(
        False,
        "Batch normalization after every convolution and FC layer; ResNet always has "
        "it, VGG never.",
    )
    dropout_conv: float = _field(
        0.0, "Dropout after each block of S-CNN and K-Branch CNN."
    )
    dropout_fc: float = _field(
        0.0, "Dropout after FC layers, before the classifier; ResNet has none."
    )
    l2: float = _field(0.0, "Weight of half the squared kernels in the loss.")

    epochs: int = _field(100, "Epochs to train.", least=1)
    class_weights: Literal["none", "balanced"] = _field(
        "none",
        "Weight of the labels that a patch has in the loss: balanced makes those of a "
        "class weigh as much in all as the patches without it.",
    )
    augment: bool = _field(
        False,
        "Turns and mirrors each patch at random while training, all bands alike; not "
        "for inception_v2, whose features are computed once.",
    )
    frozen_epochs: int = _field(
        0,
        "Epochs in which the classifier alone is trained, at a constant rate; the "
        "optimizer and its schedule then begin with all of it. For --init_from.",
    )
    batch_size: int = _field(
        128, "Patches of a batch, over all devices of all hosts.", least=1
    )
    optimizer: Literal["sgd", "adam", "adamw"] = _field("sgd", "Optimizer.")
    learning_rate: float = _field(
        0.01, "Learning rate for that batch_size; never scaled by devices or hosts."
    )
    momentum: float = _field(0.9, "Momentum of sgd; without meaning for others.")
    weight_decay: float = _field(
        0.01,
        "Part of each kernel, times the learning rate, that a step of adamw takes off; "
        "without meaning for others.",
    )
    schedule: Literal["constant", "cosine"] = _field(
        "constant",
        "Learning rate after the warm-up: the same, or a half cosine down to 0.",
    )
    warmup_steps: int = _field(0, "Steps in which the learning rate rises from 0.")
    early_stopping_patience: int = _field(
        0,
        "Ends after as many epochs without a better --early_stopping_metric, and keeps "
        "the best weights; 0 for never, and the last weights.",
    )
    early_stopping_metric: Literal["loss", "f1", "f2", "ap_macro", "ap_micro"] = _field(
        "loss",
        "What of the validation split says which epoch is best: a low loss, a high F1 "
        "or F2 per patch at 0.5, or average precision.",
    )
    mixed_precision: bool = _field(
        False,
        "Computes in bfloat16; on a GPU that has none, in float16 with a scaled loss.",
    )
    tf32: bool = _field(
        False,
        "Rounds factors of products to 10 bits on GPUs from Ampere on: faster, "
        "but bands are off by up to a thousandth.",
    )
    jit_compile: Literal["auto", "on", "off"] = _field(
        "auto", "XLA: auto for on where one GPU is visible."
    )
    deterministic: bool = _field(
        True, "Only operations that give the same bits each time; slower on a GPU."
    )
    seed: int = _field(0, "Seed of weights, orders, dropout and the fraction.")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_value(field, getattr(self, field.name))
        train, validation = self.train_split, self.validation_split
        split_names(train)
        parse_where(self.where)
        if validation != NO_SPLIT:
            split_names(validation)
            if share_split(train, validation):
                raise OptionError(
                    "validation_split: expected splits that train_split does not have, "
                    f"got {validation} for validation and {train} for training."
                )
        elif self.early_stopping_patience:
            raise OptionError("early_stopping_patience: needs a validation split.")
        if self.augment and self.uses_features:
            raise OptionError(
                f"augment: expected false for {self.model}, whose features are "
                "computed once, got true."
            )
        _check_ranges(self)

    @property
    def nomenclature(self) -> Nomenclature:
        """The classes, in the order of the logits."""
        return NOMENCLATURES[self.labels]

    @property
    def uses_features(self) -> bool:
        """Whether training starts from the features of a frozen network."""
        return self.model == "inception_v2"

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands that the model sees, in the order of its channels."""
        if self.model == "s_cnn_all":
            return tuple(band.name for band in BANDS)
        if self.model == "k_branch":
            return (*_RELEASED_BANDS, "B01", "B09")
        return _RELEASED_BANDS if self.model in RELEASED_MODELS else RGB

    @property
    def groups(self) -> tuple[str, ...]:
        """The stored groups of bands that the model takes, finest first."""
        return tuple(
            group.name
            for group in GROUPS
            if any(band.name in self.bands for band in group.bands)
        )

    def to_json(self) -> dict[str, Any]:
        """Returns name → value, for JSON."""
        return dataclasses.asdict(self)

    def to_identity(self) -> dict[str, Any]:
        """Returns what runs have in common that differ in nothing but the seed.

        Settings that earlier versions lack are left out at their defaults: so what is
        made of these is the same for the runs of all versions.
        """
        later = _later_defaults()
        return {
            name: value
            for name, value in self.to_json().items()
            if name != "seed" and (name not in later or value != later[name])
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Settings:
        """Makes settings from what `to_json` returned, in an earlier version, too.

        Raises:
            OptionError: If a name is unknown or missing, or a value has no meaning.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        content = add_later_settings(content)
        if set(content) != names:
            odd = ", ".join(sorted(set(content) ^ names))
            raise OptionError(
                f"settings of another version: these names differ from ours: {odd}."
            )
        return cls(**content)


def add_later_settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `Settings.to_json` would have, had it been of this version."""
    return _later_defaults() | dict(content)


def _later_defaults() -> dict[str, Any]:
    """Returns name → default of the settings that earlier versions lack."""
    fields = dataclasses.fields(Settings)
    return {f.name: f.default for f in fields if f.name in _ADDED}


def split_names(joined: str) -> tuple[str, ...]:
    """Splits `a+b` into the names of splits.

    Raises:
        OptionError: If a name is not that of a split, or comes twice.
    """
    names = tuple(joined.split("+"))
    unknown = [name for name in names if name not in V1.splits]
    if unknown or len(set(names)) < len(names):
        raise OptionError(
            f"split: expected some of {', '.join(V1.splits)}, each once, joined by +, "
            f"got {joined!r}."
        )
    return names


def share_split(one: str, other: str) -> bool:
    """Whether two lists of splits, joined by +, have a split in common."""
    return not set(one.split("+")).isdisjoint(other.split("+"))


def define_flags() -> None:
    """Defines a flag for each field."""
    define: dict[type, Any] = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    for field in dataclasses.fields(Settings):
        name, text = field.name, field.metadata["help"]
        default: Any = field.default
        if choices := _find_choices(name):
            command.define_choice(name, default, choices, text)
        else:
            define[type(default)](name, default, text)


def from_flags() -> Settings:
    """Returns the settings that the flags say.

    Raises:
        OptionError: If a value has no meaning.
    """
    names = [field.name for field in dataclasses.fields(Settings)]
    values: dict[str, Any] = {name: flags.FLAGS[name].value for name in names}
    return Settings(**values)


def _find_choices(name: str) -> list[str]:
    """Returns the values that a field may have; none where there is no list of them."""
    return list(get_args(get_type_hints(Settings)[name]))


def _check_value(field: dataclasses.Field[Any], value: Any) -> None:
    """Checks type, choice and lower bound; bounds above are in `_check_ranges`."""
    choices, least = _find_choices(field.name), field.metadata["least"]
    if type(value) is not type(field.default):
        kind = type(field.default).__name__
        raise OptionError(f"{field.name}: expected {kind}, got {value!r}.")
    if choices and value not in choices:
        raise OptionError(
            f"{field.name}: expected one of {', '.join(choices)}, got {value!r}."
        )
    if isinstance(value, int | float) and not least <= value < float("inf"):
        raise OptionError(f"{field.name}: expected at least {least}, got {value!r}.")


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
