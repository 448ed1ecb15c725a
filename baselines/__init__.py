"""Baselines that use the dataset like any user; they come in a later version."""
