"""What must be said wherever figures of a model are shown."""

from __future__ import annotations

from typing import NamedTuple


class Remark(NamedTuple):
    """A reason not to take figures for results.

    Attributes:
        text: In few words.
        meaning: What it means.
        untested: Why statements of significance leave the model out; empty if they do
            not.
    """

    text: str
    meaning: str
    untested: str = ""


_REMARKS = {
    "synthetic": Remark(
        "SYNTHETIC patches",
        "it was evaluated on patches that are made up; its figures say nothing about "
        "the Earth.",
    ),
    "trained_on_synthetic": Remark(
        "trained on SYNTHETIC patches",
        "it was trained on patches that are made up.",
    ),
    "seen": Remark(
        "overfitting check, not a result",
        "it was evaluated on patches that it was trained on.",
        "trained on these patches",
    ),
    "seen_elsewhere": Remark(
        "not a result: {:,} of these patches seen in training",
        "so many of the patches that are evaluated are in a split that it was trained "
        "on under another release or split scheme.",
        "trained on some of these patches",
    ),
    "chosen": Remark(
        "weights chosen on these patches",
        "not a result: the loss of patches that are evaluated chose its weights.",
        "weights chosen on these patches",
    ),
    "shuffled": Remark(
        "SHUFFLED labels",
        "it was trained on the labels of other patches, to check that it learns "
        "nothing from them.",
    ),
    "random": Remark(
        "RANDOM frozen weights",
        "it can only show that the program runs.",
        "random weights",
    ),
    "where": Remark(
        "trained where {}",
        "it was trained on these patches of the split alone, and evaluated on all.",
    ),
    "trained_on_test": Remark(
        "Trained on the test split", "an overfitting check, not a result."
    ),
}


def choose_remarks(**applies: bool | int | str) -> tuple[Remark, ...]:
    """Returns the remarks that apply, in the order above.

    Args:
        applies: Name of the remark → whether it applies, or what its text says.
    """
    return tuple(
        remark._replace(text=remark.text.format(applies[name]))
        for name, remark in _REMARKS.items()
        if applies.get(name)
    )
