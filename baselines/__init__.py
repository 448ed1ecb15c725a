"""Baselines that use the dataset like any user: trained, compared, exported."""

from baselines.hub import HubModel, from_hub

__all__ = ["HubModel", "from_hub"]
