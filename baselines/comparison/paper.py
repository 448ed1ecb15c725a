"""The figures that the paper reports.

Source: Sumbul, Charfuelan, Demir and Markl, BigEarthNet: A Large-Scale Benchmark
Archive for Remote Sensing Image Understanding, IGARSS 2019, Table 4: level-3 classes;
precision, recall, F1 and F2 per patch. The random split was not published; the
threshold is not stated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from baselines.metrics import Averages

SPLIT = "random, the paper's own"
TITLE = "Sumbul et al., 2019, Table 4"


@dataclass(frozen=True)
class PaperRow:
    """A row of Table 4.

    Attributes:
        title: Name of the model in the paper.
        averages: What is reported of it, as shares.
    """

    title: str
    averages: Averages


# Our name of each model → its row, in the paper's order.
TABLE_4: Mapping[str, PaperRow] = {
    "inception_v2": PaperRow("Inception-v2", Averages(0.4823, 0.5679, 0.4988, 0.5301)),
    "s_cnn_rgb": PaperRow("S-CNN-RGB", Averages(0.6506, 0.7557, 0.6759, 0.7139)),
    "s_cnn_all": PaperRow("S-CNN-All", Averages(0.6993, 0.7710, 0.7098, 0.7384)),
}
