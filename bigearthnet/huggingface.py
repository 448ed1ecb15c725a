"""What users of `datasets`, PyTorch and JAX need beside their library.

`datasets` hands out Python rows, or int64 arrays; `ArrowReader` hands out the stored
pixels, as views of the mapped file or gathered by index. It reads the Arrow store of a
data directory without `datasets`, and the data sets of `datasets` as well.
"""

from __future__ import annotations

from bigearthnet.datasets_support import load_dataset
from bigearthnet.loading.to_tf import to_tf
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.release.nomenclature import multi_hot

__all__ = ["ArrowReader", "load_dataset", "multi_hot", "to_tf"]
