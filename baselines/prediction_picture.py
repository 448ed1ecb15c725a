"""Pictures of the prediction for a patch; needs matplotlib."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bigearthnet.release.bands import split
from bigearthnet.report.composites import make_picture

# Least number of bars, and most characters in a line of a label.
_NUM_BARS, _LINE_LENGTH = 8, 50
# Colours of classes that a patch has and does not have, which differ in brightness,
# too; and of those of a patch without labels. Bars of classes that it does not have
# are striped.
_TRUE, _FALSE, _UNKNOWN = "#1b7837", "#c2a5cf", "#7a7a7a"
_STRIPES = {_TRUE: "", _FALSE: "//", _UNKNOWN: ""}
_SIDE_IN = 4.0


@dataclass(frozen=True)
class Prediction:
    """The prediction of a model for one patch.

    Attributes:
        patch_id: The patch.
        labels: Names of all classes.
        is_true: Shape (class,), uint8: 1 where the patch has the label; None where
            nobody says its labels.
        probability: Shape (class,), float32.
        threshold: A class is predicted where its probability is at least this.
    """

    patch_id: str
    labels: Sequence[str]
    is_true: npt.NDArray[np.uint8] | None
    probability: npt.NDArray[np.float32]
    threshold: float

    def choose_bars(self) -> list[int]:
        """Chooses the classes to draw: labels, predicted ones, and the next few.

        Returns:
            Their numbers, the most probable first.
        """
        order = np.argsort(-self.probability, kind="stable")
        needed = self.probability >= self.threshold
        if self.is_true is not None:
            needed = needed | (self.is_true == 1)
        shown = needed.copy()
        shown[order[:_NUM_BARS]] = True
        return [int(number) for number in order if shown[number]]


def draw_prediction(
    prediction: Prediction,
    bands_10m: npt.NDArray[np.uint16],
    remarks: Sequence[str] = (),
) -> bytes:
    """Draws a patch in natural colours, and bars of probabilities beside it, as PNG.

    Args:
        prediction: What a model says of it.
        bands_10m: Shape (band, y, x), uint16, digital numbers.
        remarks: Warnings about the model.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    numbers = prediction.choose_bars()
    height = max(_SIDE_IN, 0.45 * len(numbers)) + 1
    figure = Figure(figsize=(3 * _SIDE_IN, height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    pixels = split({"bands_10m": bands_10m})
    left.imshow(make_picture(pixels, "true_color"), interpolation="nearest")
    left.set(xticks=[], yticks=[])
    left.set_title(prediction.patch_id, parse_math=False)  # a folder of any name
    values = prediction.probability[numbers]
    is_true = prediction.is_true
    if is_true is None:
        legend = {_UNKNOWN: "labels unknown"}
        colours = [_UNKNOWN] * len(numbers)
    else:
        legend = {_TRUE: "label of the patch", _FALSE: "not a label of it"}
        colours = [_TRUE if is_true[n] else _FALSE for n in numbers]
    bars = right.barh(
        range(len(numbers)),
        values,
        color=colours,
        hatch=[_STRIPES[colour] for colour in colours],
        edgecolor="white",
        linewidth=0,
    )
    right.bar_label(bars, [f"{value:.2f}" for value in values], padding=3)
    names = [
        textwrap.fill(prediction.labels[number], _LINE_LENGTH) for number in numbers
    ]
    right.set_yticks(range(len(numbers)), names)
    right.invert_yaxis()
    right.set(xlim=(0, 1.1), xticks=np.linspace(0, 1, 6), xlabel="probability")
    right.axvline(prediction.threshold, color="black", linestyle=":", linewidth=1)
    right.spines[["top", "right"]].set_visible(False)
    figure.legend(
        handles=[
            Patch(facecolor=c, edgecolor="white", hatch=_STRIPES[c], label=text)
            for c, text in legend.items()
        ],
        loc="outside lower right",
        ncols=2,
        frameon=False,
    )
    if remarks:
        figure.suptitle("; ".join(remarks), color="#b54708")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
