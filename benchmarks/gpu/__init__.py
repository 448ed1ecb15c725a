"""Measures a GPU: `results` says what of, `with_tensorflow` and `with_torch` how."""
