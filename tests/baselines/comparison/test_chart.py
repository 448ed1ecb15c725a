from __future__ import annotations

from xml.etree import ElementTree

from baselines.comparison.chart import draw_bars


def test_a_bar_is_as_long_as_its_value() -> None:
    """Each label has a bar a series, in order, with the value beside it."""
    (svg,) = draw_bars(["x", "y"], {"a": [1.0, 0.25], "b": [0.5, 0.0]}, "title")
    root = ElementTree.fromstring(svg)
    bars = [r for r in root.iter("rect") if r.get("fill") in ("#0072B2", "#E69F00")][2:]
    widths = [float(bar.attrib["width"]) for bar in bars]
    values = [t.text for t in root.iter("text") if t.get("text-anchor") == "end"]

    assert [1.0, 0.5, 0.25, 0.0] == [width / widths[0] for width in widths]
    assert ["1.00", "0.50", "0.25", "0.00"] == values


def test_many_labels_are_drawn_on_several_sheets() -> None:
    """43 classes make three drawings, each with the names of all series."""
    labels = [f"label {number}" for number in range(43)]
    pieces = draw_bars(labels, {"model": [0.5] * 43}, "title")
    texts = [[t.text for t in ElementTree.fromstring(p).iter("text")] for p in pieces]

    assert 3 == len(pieces)
    assert labels == [t for part in texts for t in part if t and t.startswith("label")]
    assert all("model" in part for part in texts)


def test_labels_are_escaped_and_cut_in_the_middle() -> None:
    """A label that is too long keeps its end, where the number of patches stands."""
    (svg,) = draw_bars([f"<{'very ' * 30}long> (1,234)"], {"a & b": [0.1]}, '"t"')
    root = ElementTree.fromstring(svg)
    texts = [t.text or "" for t in root.iter("text")]

    assert ("img", '"t"') == (root.get("role"), root.get("aria-label"))
    assert "a & b" == texts[0]
    assert texts[1].startswith("<very")
    assert texts[1].endswith("(1,234)")
    assert len(texts[1]) < 70
