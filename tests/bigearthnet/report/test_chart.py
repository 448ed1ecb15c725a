from __future__ import annotations

from xml.etree import ElementTree

from bigearthnet.report.chart import draw_bars


def read_texts(svg: bytes) -> list[str]:
    """The texts of a drawing, in their order."""
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [text.text or "" for text in texts]


def test_each_value_stands_at_its_bar() -> None:
    """Each label has a bar a series, with the value beside it; models are named."""
    (svg,) = draw_bars(["x", "y"], {"a": [1.0, 0.25], "b": [0.5, 0.0]})

    assert ["1.00", "0.25", "0.50", "0.00", "x", "y", "a", "b"] == read_texts(svg)
    assert draw_bars(["x", "y"], {"a": [1.0, 0.25], "b": [0.5, 0.0]}) == (svg,)


def test_many_labels_are_drawn_on_several_sheets() -> None:
    """43 classes make three drawings, each with the names of all series."""
    labels = [f"label {number}" for number in range(43)]
    texts = [read_texts(svg) for svg in draw_bars(labels, {"model": [0.5] * 43})]

    assert 3 == len(texts)
    assert labels == [t for part in texts for t in part if t.startswith("label")]
    assert all("model" in part for part in texts)


def test_labels_are_escaped_and_whole() -> None:
    """A label that is too long for a line goes on in the next."""
    label = f"<${'very ' * 30}long$> (1,234)"
    (svg,) = draw_bars([label, "short"], {"a & b": [0.1, 0.2]})
    _, _, *lines, short, name = read_texts(svg)

    assert ("short", "a & b") == (short, name)
    assert label == " ".join(lines)
    assert 2 < len(lines)
    assert all(len(line) < 60 for line in lines)
