from __future__ import annotations

import dataclasses

import numpy as np

from baselines.prediction_picture import Prediction, draw_prediction
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.schema.rgb import decode_image


def make_prediction() -> Prediction:
    """Twelve classes from 0.99 down to 0.88, the last label at 0.01."""
    probability = np.zeros(43, np.float32)
    probability[:12] = 0.99 - 0.01 * np.arange(12)
    probability[40] = 0.01
    is_true = np.zeros(43, np.uint8)
    is_true[[0, 40]] = 1
    return Prediction("patch", CLC43.labels, is_true, probability, 0.95)


def test_labels_and_predicted_classes_are_always_drawn() -> None:
    """Beside the most probable ones stand all labels; the most probable is first."""
    prediction = make_prediction()

    assert [0, 1, 2, 3, 4, 5, 6, 7, 40] == prediction.choose_bars()
    changed = Prediction("p", CLC43.labels, *_scores(prediction), threshold=0.9)
    assert [*range(10), 40] == changed.choose_bars()


def _scores(prediction: Prediction) -> tuple[np.ndarray, np.ndarray]:
    return prediction.is_true, prediction.probability


def test_the_picture_shows_the_patch() -> None:
    """A patch that is bright in the west only is drawn so, at the left."""
    bands = np.zeros((4, 120, 120), np.uint16)
    bands[:, :, :60] = 10_000
    image = decode_image(draw_prediction(make_prediction(), bands, ["RANDOM"]))
    middle = image.shape[0] // 2
    # Of the columns of the patch, white comes before black; the page is white, too.
    row = image[middle, : image.shape[1] // 3, 0]
    black = np.flatnonzero(row == 0)

    assert 2000 > image.shape[1] > image.shape[0] > 300
    assert len(black) > 50
    assert (row[5 : black[0] - 5] == 255).any()
    assert (np.diff(black) == 1).mean() > 0.9


def test_a_patch_without_labels_is_drawn() -> None:
    """Its bars are of one colour, and are chosen by probability alone."""
    prediction = dataclasses.replace(
        make_prediction(), is_true=None, patch_id=r"$\frac{ is no formula$"
    )
    image = decode_image(
        draw_prediction(prediction, np.zeros((4, 120, 120), np.uint16))
    )

    assert [*range(8)] == prediction.choose_bars()
    assert (image[..., :3] == (0x7A, 0x7A, 0x7A)).all(axis=-1).any()
    assert not (image[..., :3] == (0x1B, 0x78, 0x37)).all(axis=-1).any()
