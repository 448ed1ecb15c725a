"""Readers of stored tables: columns as numpy arrays, without Python rows.

`arrow` maps Arrow stores into memory; `parquet` decodes Parquet stores group by group.
"""
