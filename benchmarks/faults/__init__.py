"""Breaks builds in every way that can be thought of, and looks whether they go on."""
