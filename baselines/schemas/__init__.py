"""JSON schemas of the files that runs leave: what each of their fields means."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any


@functools.cache
def load_schema(name: str) -> Mapping[str, Any]:
    """Loads the JSON schema of `results` or `settings`."""
    path = resources.files("baselines.schemas") / f"{name}.schema.json"
    schema: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def find_problem(content: Any, name: str) -> str | None:
    """Finds where the content of a JSON file is not what its schema allows.

    Args:
        content: The content.
        name: Name of the schema.

    Returns:
        Path of a field that is missing, unknown or of another type, and what is wrong
        with it; None if nothing is.
    """
    import jsonschema

    validator = jsonschema.Draft202012Validator(load_schema(name))
    error = jsonschema.exceptions.best_match(validator.iter_errors(content))
    if error is None:
        return None
    where = "/".join(map(str, error.absolute_path)) or "the whole"
    return f"{where}: {error.message[:200]}"
