"""What public names say of themselves, which is what the reference is made of."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

# Modules that say what they export, and those of which all is public.
EXPORTING = (
    "bigearthnet",
    "bigearthnet.release",
    "bigearthnet.source",
    "bigearthnet.download",
    "bigearthnet.huggingface",
    "baselines",
)
WHOLE = (
    "bigearthnet.errors",
    "bigearthnet.release.bands",
    "bigearthnet.release.nomenclature",
)
# What the first line of a docstring begins with that needs no section on it.
TELLS = ("Returns", "Yields", "Opens", "Maps", "Reads", "Whether")


def list_public() -> list[tuple[list[str], Any]]:
    """The names of each public thing, with what it is."""
    found = []
    for name in EXPORTING:
        module = importlib.import_module(name)
        exported = vars(module)["__all__"]
        found += [(f"{name}.{export}", getattr(module, export)) for export in exported]
    for name in WHOLE:
        for export, value in vars(importlib.import_module(name)).items():
            is_here = getattr(value, "__module__", None) == name
            if is_here and not export.startswith("_") and callable(value):
                found.append((f"{name}.{export}", value))
    things: dict[int, tuple[list[str], Any]] = {}
    for name, value in found:
        things.setdefault(id(value), ([], value))[0].append(name)
    return list(things.values())


def list_functions() -> Iterator[tuple[str, Any]]:
    """Public functions, and methods of public classes."""
    for (name, *_), value in list_public():
        if inspect.isclass(value):
            for part, member in vars(value).items():
                method = getattr(member, "__func__", member)
                if inspect.isfunction(method) and not part.startswith("_"):
                    yield f"{name}.{part}", method
        elif inspect.isfunction(inspect.unwrap(value)):
            yield name, inspect.unwrap(value)


FUNCTIONS = dict(list_functions())


@pytest.mark.parametrize(
    "value",
    [pytest.param(v, id=n[0]) for n, v in list_public() if isinstance(v, type)],
)
def test_a_public_class_says_what_it_is(value: type) -> None:
    """It has a docstring of its own, and so has each property."""
    assert value.__dict__.get("__doc__")
    for name, member in vars(value).items():
        if isinstance(member, property) and not name.startswith("_"):
            is_listed = re.search(rf"^ +{name}: ", value.__doc__ or "", re.M)
            assert member.__doc__ or is_listed, name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_what_it_takes_gives_and_raises(name: str) -> None:
    """Arguments, result and errors are described, there or where it points to."""
    function = FUNCTIONS[name]
    text = inspect.getdoc(function)
    assert text
    if re.search(r"see `", text.partition("\n")[0]):
        return
    signature = inspect.signature(function)
    undescribed = [
        parameter
        for parameter in signature.parameters
        if parameter not in ("self", "cls")
        and not re.search(rf"^ +\*{{0,2}}{parameter}: ", text, re.M)
    ]
    gives = signature.return_annotation not in (None, "None")
    returns = re.search(r"^(?:Returns|Yields):\n +(.*)", text, re.M)

    assert [] == undescribed
    assert not gives or returns or text.startswith(TELLS)
    assert " raise " not in inspect.getsource(function) or "\nRaises:\n" in text
    # Sphinx takes what stands before a colon there for a type.
    assert not returns or ": " not in returns[1]
