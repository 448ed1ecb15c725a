"""`Settings`: everything that decides a trained model, as one value.

Each field is a flag of `baselines.train`; the flag's help says what it means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from baselines.networks import ResNet, Vgg, find_bands
from baselines.setting_fields import setting
from baselines.settings_checks import check_settings
from baselines.splits import NO_SPLIT
from bigearthnet.errors import OptionError
from bigearthnet.reading.images import choose_groups
from bigearthnet.release import RELEASES
from bigearthnet.release.bands import BandGroup
from bigearthnet.release.nomenclature import NOMENCLATURES, Nomenclature
from bigearthnet.schema.configs import Config, get_config, list_configs

_CONFIGS = tuple(
    name for name, config in list_configs(RELEASES).items() if not config.choice.is_rgb
)
_SPLITS = ", ".join(dict.fromkeys(name for r in RELEASES for name in r.splits))


@dataclass(frozen=True)
class Settings:
    """What a model is, what it is trained on, and how.

    Raises:
        OptionError: If a value has no meaning.
    """

    model: Literal[
        "s_cnn_rgb", "s_cnn_all", "inception_v2", ResNet, Vgg, "k_branch"
    ] = setting("s_cnn_all", "Which model to train.")

    config: str = setting(
        "s2",
        "s2 for the official splits, s2-random for the paper's protocol; v2-s2, v2-s1 "
        "and v2-s1s2 are of v2.0, and need --labels=ben19.",
        choices=_CONFIGS,
    )
    sensors: Literal["all", "s2", "s1"] = setting(
        "all",
        "Whose bands s_cnn_all takes: of all that are stored, or of one satellite.",
        later=True,
    )
    train_split: str = setting("train", f"Splits to train on, joined by +: {_SPLITS}.")
    validation_split: str = setting(
        "validation",
        f"Splits whose loss is shown after each epoch, joined by +, or {NO_SPLIT}.",
    )
    where: str = setting(
        "",
        "Train patches to use, for example country=Portugal|Austria; season=summer; "
        "date=2017-06-01..2017-08-31. Validation and evaluation take whole splits.",
        later=True,
    )
    fraction: float = setting(1.0, "Part of the train patches to use, drawn by seed.")
    labels: Literal["clc43", "ben19", "clc_level2", "clc_level1"] = setting(
        "clc43", "Classes to learn."
    )
    shuffle_labels: bool = setting(
        False,
        "Gives each train patch the labels of another: a check, which must learn "
        "nothing beyond the frequency of classes.",
    )

    statistics: Literal["stored", "published"] = setting(
        "stored",
        "Mean and deviation of bands: of the train split, as the build stored them, "
        "or the published ones. Without meaning for inception_v2.",
    )
    upsampling: Literal["bicubic", "bicubic_tf1"] = setting(
        "bicubic",
        "How 20 and 60 m bands become 120 × 120: with half-pixel centres, or as "
        "TensorFlow 1 did it, which shifts them.",
    )
    rgb_max: int = setting(
        2000, "Digital number that is full brightness to inception_v2.", least=1
    )
    inception_size: int = setting(224, "Pixels of a side for inception_v2.", least=32)
    weights: Literal["pretrained", "random"] = setting(
        "pretrained",
        "Weights of inception_v2; random ones only test that everything runs.",
    )
    features_dtype: Literal["float32", "float16"] = setting(
        "float32",
        "How the features of inception_v2 are kept; float16 takes half the space.",
    )

    fc_units: int = setting(
        128, "Units of fully connected layers; ResNet has none, VGG 4096.", least=1
    )
    third_pool: bool = setting(False, "S-CNN: pools after the third convolution, too.")
    batch_norm: bool = setting(
        False,
        "Batch normalization after every convolution and FC layer; ResNet always has "
        "it, VGG never.",
    )
    dropout_conv: float = setting(
        0.0, "Dropout after each block of S-CNN and K-Branch CNN."
    )
    dropout_fc: float = setting(
        0.0, "Dropout after FC layers, before the classifier; ResNet has none."
    )
    l2: float = setting(0.0, "Weight of half the squared kernels in the loss.")

    epochs: int = setting(100, "Epochs to train.", least=1)
    class_weights: Literal["none", "balanced"] = setting(
        "none",
        "Weight of the labels that a patch has in the loss: balanced makes those of a "
        "class weigh as much in all as the patches without it.",
        later=True,
    )
    augment: bool = setting(
        False,
        "Turns and mirrors each patch at random while training, all bands alike; not "
        "for inception_v2, whose features are computed once.",
        later=True,
    )
    frozen_epochs: int = setting(
        0,
        "Epochs in which the classifier alone is trained, at a constant rate; the "
        "optimizer and its schedule then begin with all of it. For --init_from.",
        later=True,
    )
    batch_size: int = setting(
        128, "Patches of a batch, over all devices of all hosts.", least=1
    )
    optimizer: Literal["sgd", "adam", "adamw"] = setting("sgd", "Optimizer.")
    learning_rate: float = setting(
        0.01, "Learning rate for that batch_size; never scaled by devices or hosts."
    )
    momentum: float = setting(0.9, "Momentum of sgd; without meaning for others.")
    weight_decay: float = setting(
        0.01,
        "Part of each kernel, times the learning rate, that a step of adamw takes off; "
        "without meaning for others.",
        later=True,
    )
    schedule: Literal["constant", "cosine"] = setting(
        "constant",
        "Learning rate after the warm-up: the same, or a half cosine down to 0.",
    )
    warmup_steps: int = setting(0, "Steps in which the learning rate rises from 0.")
    early_stopping_patience: int = setting(
        0,
        "Ends after as many epochs without a better --early_stopping_metric, and keeps "
        "the best weights; 0 for never, and the last weights.",
    )
    early_stopping_metric: str = setting(
        "loss",
        "What of the validation split says which epoch is best: a low loss, a high F1 "
        "or F2 per patch at 0.5, or average precision.",
        choices=("loss", "f1", "f2", "ap_macro", "ap_micro"),
        later=True,
    )
    mixed_precision: bool = setting(
        False,
        "Computes in bfloat16; on a GPU that has none, in float16 with a scaled loss.",
    )
    tf32: bool = setting(
        False,
        "Rounds factors of products to 10 bits on GPUs from Ampere on: faster, "
        "but bands are off by up to a thousandth.",
        later=True,
    )
    jit_compile: Literal["auto", "on", "off"] = setting(
        "auto", "XLA: auto for on where one GPU is visible."
    )
    deterministic: bool = setting(
        True, "Only operations that give the same bits each time; slower on a GPU."
    )
    seed: int = setting(0, "Seed of weights, orders, dropout and the fraction.")

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def nomenclature(self) -> Nomenclature:
        """The classes, in the order of the logits."""
        return NOMENCLATURES[self.labels]

    @property
    def uses_features(self) -> bool:
        """Whether training starts from the features of a frozen network."""
        return self.model == "inception_v2"

    @property
    def stored(self) -> Config:
        """The configuration of the patches to train on."""
        return get_config(self.config, RELEASES)

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands that the model sees, in the order of its channels."""
        return find_bands(self.model, self.stored.archives, self.sensors)

    @property
    def band_groups(self) -> tuple[BandGroup, ...]:
        """The stored groups of bands that the model takes, as they are stored."""
        return choose_groups(self.stored.groups, self.bands)

    @property
    def groups(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(group.name for group in self.band_groups)

    def to_json(self) -> dict[str, Any]:
        """Returns name → value, for JSON."""
        return dataclasses.asdict(self)

    def to_identity(self) -> dict[str, Any]:
        """Returns what runs have in common that differ in nothing but the seed.

        Settings that earlier versions lack are left out at their defaults: so what is
        made of these is the same for the runs of all versions.
        """
        later = add_later_settings({})
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
        content = add_later_settings(content)
        if odd := set(content) ^ {field.name for field in dataclasses.fields(cls)}:
            raise OptionError(
                "settings of another version: these names differ from ours: "
                f"{', '.join(sorted(odd))}."
            )
        return cls(**content)


def add_later_settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `Settings.to_json` would have, had it been of this version."""
    later = [f for f in dataclasses.fields(Settings) if f.metadata["later"]]
    return {f.name: f.default for f in later} | dict(content)
