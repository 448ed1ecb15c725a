"""One patch, as readers hand it out; a notebook shows it as a picture."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bigearthnet.schema.features import Feature
from bigearthnet.schema.rgb import decode_image, encode_png, radar_to_rgb, to_rgb

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Side of the picture in a notebook, in pixels of the screen.
_SIDE_PX = 240
# Longer texts are not shown.
_LONGEST_TEXT = 100


class Patch(dict[str, Any]):
    """Column → value of one patch, without the axis of patches.

    Bands and vectors are arrays of the feature's shape, texts str, pictures bytes,
    class ids an array of int64, else numpy numbers.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        features: Mapping[str, Feature],
        rgb: tuple[str, ...] = (),
    ) -> None:
        """Takes the values.

        Args:
            values: Column → value.
            features: Column → its feature.
            rgb: Bands of a picture: red, green, blue.
        """
        super().__init__(values)
        self._features, self._rgb = features, rgb

    @property
    def features(self) -> Mapping[str, Feature]:
        """Column → its feature."""
        return self._features

    def describe(self) -> dict[str, Any]:
        """Returns what is not pixels, classes by name; no text of many lines (WKT)."""
        described: dict[str, Any] = {}
        for name, value in self.items():
            feature = self._features[name]
            if feature.kind == "classes":
                described[name] = [feature.labels[number] for number in value]
            elif feature.kind == "class":
                described[name] = feature.labels[int(value)]
            elif feature.kind in ("integer", "bool"):
                described[name] = value.item()
            elif feature.kind == "text" and len(value) <= _LONGEST_TEXT:
                described[name] = value
        return described

    def __repr__(self) -> str:
        names = ", ".join(n for n in self if self._features[n].kind == "tensor")
        facts = ", ".join(
            f"{name}={value!r}" for name, value in self.describe().items()
        )
        return f"<Patch {facts}; arrays: {names or 'none'}>"

    def _repr_html_(self) -> str:
        """Shows picture, labels and what else is known, in a notebook."""
        rows = []
        for name, value in self.describe().items():
            # Names of classes have commas of their own.
            text = "; ".join(value) if isinstance(value, list) else str(value)
            rows.append(
                f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
                f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            )
        picture, image = "", self._make_picture()
        if image is not None:
            content = base64.b64encode(encode_png(image)).decode()
            alt = html.escape(str(self.get("patch_id", "patch")))
            picture = (
                f"<img alt='{alt}' width='{_SIDE_PX}' height='{_SIDE_PX}' "
                f"style='image-rendering:pixelated' "
                f"src='data:image/png;base64,{content}'>"
            )
        return (
            "<div style='display:flex;gap:1em;align-items:flex-start'>"
            f"{picture}<table>{''.join(rows)}</table></div>"
        )

    def _make_picture(self) -> npt.NDArray[np.uint8] | None:
        """Returns a picture, shape (y, x, channel), uint8; None without its bands."""
        found: dict[str, Any] = {}
        for name, value in self.items():
            feature = self._features[name]
            if feature.kind == "image":
                return decode_image(value)
            if feature.bands:
                found |= dict(zip(feature.bands, value, strict=True))
        if self._rgb and found.keys() >= set(self._rgb):
            return to_rgb([found[band] for band in self._rgb])
        if found.keys() >= {"VV", "VH"}:
            return radar_to_rgb(found["VV"], found["VH"])
        return None
