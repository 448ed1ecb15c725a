"""What an exported model takes and gives, as a part of its card."""

from __future__ import annotations

from baselines.exported import CLASS_NAMES, LABELS, MODEL, SAVED_MODEL, SIGNATURE
from baselines.workdir import Run
from bigearthnet.release.bands import GROUPS

_OFFSET = """\
**Products of processing baseline 04.00 and later** (all since 25 January 2022) have
1000 added to each value: subtract it first, negative ones becoming 0, as
`python -m baselines.predict --dn_offset=-1000` does.

"""


def describe_interface(run: Run, difference: float) -> str:
    """Describes the groups of bands, and shows programs that load and call the model.

    Args:
        run: What the model is.
        difference: Largest difference of probabilities that the export has shown.
    """
    groups = run.settings.band_groups
    rows = "\n".join(
        f"| `{group.name}`, {group.dtype} | {' '.join(b.name for b in group.bands)} | "
        f"(batch, {', '.join(map(str, group.shape))}) | {group.unit} |"
        for group in groups
    )
    arguments = ", ".join(f"{group.name}={group.name}" for group in groups)
    pairs = ", ".join(f'"{group.name}": {group.name}' for group in groups)
    optical = _OFFSET if any(group in GROUPS for group in groups) else ""
    return f"""\
| input | bands, in this order | shape (batch, band, y, x) | values |
| --- | --- | --- | --- |
{rows}

Values are as the archive has them, at their own resolution. Scaling and resampling are
part of the model: feed nothing that was scaled. Output: `probabilities`, float32,
(batch, {len(run.settings.nomenclature)}).

{optical}```python
import tensorflow as tf

serve = tf.saved_model.load("{SAVED_MODEL}").signatures["{SIGNATURE}"]
found = serve({arguments})
probabilities, names = found["probabilities"], found["{CLASS_NAMES}"]
```

```python
import keras  # layers of Keras alone: nothing else has to be installed

model = keras.models.load_model("{MODEL}", safe_mode=True)
inputs = {{{pairs}}}
probabilities = model(inputs, training=False)  # classes: {LABELS}
```

On GPUs from NVIDIA's Ampere on, TensorFlow rounds products of float32, which resample
and choose bands, too. `tf.config.experimental.enable_tensor_float_32_execution(False)`,
before the first prediction, makes them exact.

Both were loaded again after the export: their probabilities differ from the trained
model's by up to {difference:.1e}."""
