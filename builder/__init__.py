"""The commands that make, check and show shards: `python -m builder.<verb>`."""
