"""Templates of HTML; needs Jinja2 (extra `[baselines]`)."""

from __future__ import annotations

from pathlib import Path


def render_template(path: Path, **values: object) -> str:
    """Renders a template, in which every value is text unless it is marked as safe.

    Args:
        path: The template.
        values: What it is given, by name; a name that is missing is an error.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(path.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(path.name).render(values)
