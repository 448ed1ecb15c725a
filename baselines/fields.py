"""Types of the fields of JSON files: what pydantic checks, and writes into a schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Required

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

# Of each object: it has all of its fields and no other; the text below a field says
# what it means.
CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareOrNone = Annotated[Share | None, Field(description="Null where not defined.")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1)]


class FrozenWeights(TypedDict, total=False):
    """The frozen part of a model: its checkpoint, or the seed of random numbers."""

    source: Required[Literal["tf-slim", "random", "released"]]
    sha256: Sha256
    seed: Count


class InitialWeights(TypedDict, total=False):
    """Weights that training began with."""

    source: Required[Literal["run", "export"]]
    sha256: Required[Sha256]
    config: Required[str | None]
    train_split: Required[str | None]
    new: Required[tuple[str, ...]]
    initial_weights: InitialWeights | None


def make_schema_of(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """Returns the JSON schema of what an adapter makes."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **adapter.json_schema()}


def parse(adapter: TypeAdapter[Any], content: bytes) -> Any:
    """Makes what JSON describes; nothing is converted to another type.

    Args:
        adapter: Of what to make.
        content: The JSON.

    Raises:
        ValueError: If it is no such JSON; with the path of the field, and what is
            wrong with it.
    """
    try:
        return adapter.validate_json(content, strict=True)
    except ValidationError as cause:
        raise ValueError(describe(cause)) from None


def describe(error: ValidationError) -> str:
    """Says where something is not as it is described, and what is wrong with it."""
    first = error.errors(include_url=False)[0]
    where = "/".join(map(str, first["loc"])) or "the whole"
    return f"{where}: {first['msg']}, got {first['input']!r:.80}"
