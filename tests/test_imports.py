from __future__ import annotations

import ast
import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bigearthnet

ROOT = Path(bigearthnet.__file__).parent.parent
PACKAGES = ("bigearthnet", "builder", "baselines")
# Package → the packages it must not import.
FORBIDDEN = {
    "bigearthnet": {"builder", "baselines", "benchmarks"},
    "builder": {"baselines", "benchmarks"},
    "baselines": {"builder", "benchmarks"},
}
# The rooms of the library, from the ground up: each imports those before it alone.
ROOMS = (
    *("errors", "util", "release", "source", "schema", "formats", "store"),
    *("download", "engine", "reading", "loading", "report"),
)
# Rooms of one height, which do not import each other.
APART = ({"download", "engine", "reading", "report"}, {"download", "loading", "report"})
HEAVY = {"tensorflow", "datasets", "rasterio", "matplotlib", "jinja2"}


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    """No garbage is collected meanwhile.

    Finalizers of other tests' objects, run within `ast.parse`, make Python 3.11 fail
    with "AST constructor recursion depth mismatch" (CPython issue 106905).
    """
    gc.disable()
    yield
    gc.enable()


def walk_imports(source: str) -> Iterator[tuple[int, str]]:
    """Yields line and top-level package of every absolute import, at any depth."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]


def walk_rooms(source: str) -> Iterator[tuple[int, str]]:
    """Yields line and room of every import from the library, at any depth."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "bigearthnet":
            names = [f"bigearthnet.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "bigearthnet":
                yield node.lineno, rest.partition(".")[0]


def may_import(room: str, imported: str) -> bool:
    """Whether a room of the library may import another."""
    if imported not in ROOMS or room == imported:
        return room == imported
    is_apart = any({room, imported} <= rooms for rooms in APART)
    return ROOMS.index(imported) < ROOMS.index(room) and not is_apart


def run_python(code: str) -> str:
    """Runs code in a fresh interpreter and returns what it prints."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_the_layers_allow(package: str) -> None:
    """The library imports neither commands nor baselines, and these not each other."""
    modules = sorted((ROOT / package).rglob("*.py"))
    offences = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for path in modules
        for line, imported in walk_imports(path.read_text(encoding="utf-8"))
        if imported in FORBIDDEN[package]
    ]

    assert modules
    assert [] == offences


@pytest.mark.parametrize("room", ROOMS)
def test_imports_between_rooms_go_one_way(room: str) -> None:
    """A room of the library imports the rooms below it, never one above or beside."""
    folder = ROOT / "bigearthnet"
    modules = sorted((folder / room).rglob("*.py")) or [folder / f"{room}.py"]
    offences = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for path in modules
        for line, imported in walk_rooms(path.read_text(encoding="utf-8"))
        if not may_import(room, imported)
    ]

    assert [] == offences


def test_every_folder_of_the_library_is_a_room() -> None:
    """No module escapes the rule by lying in a folder that it does not name."""
    folders = {p.parent.name for p in (ROOT / "bigearthnet").glob("*/__init__.py")}

    assert folders <= set(ROOMS)


def test_imports_are_found_at_any_depth() -> None:
    """The check of the layers sees imports inside functions and conditions."""
    source = (
        "if 1:\n import builder.build\ndef f():\n from baselines.train import x\n"
        "from . import y\n"
    )

    assert [(2, "builder"), (4, "baselines")] == sorted(walk_imports(source))


@pytest.mark.parametrize(
    "module", ["bigearthnet", "builder.build", "builder.verify", "builder.sample"]
)
def test_an_import_loads_no_heavy_library(module: str) -> None:
    """Importing the library, or a command, loads none of the slow libraries."""
    loaded = run_python(f"import sys, {module}\nprint(*sys.modules)").split()

    assert module in loaded
    assert set() == HEAVY & set(loaded)


def test_the_library_works_without_tfds() -> None:
    """Without tensorflow-datasets the package imports, and says it is unregistered."""
    code = (
        "import sys; sys.modules['tensorflow_datasets'] = None\n"
        "import bigearthnet; print(bigearthnet.IS_REGISTERED, len(bigearthnet.CLC43))"
    )

    assert "False 43" == run_python(code)


def test_the_library_registers_its_builder() -> None:
    """With tensorflow-datasets the import registers our builder, not the built-in."""
    code = (
        "import bigearthnet, tensorflow_datasets as tfds\n"
        "cls = tfds.builder_cls('bigearthnet')\n"
        "print(bigearthnet.IS_REGISTERED, cls.__module__)"
    )

    assert (
        "True bigearthnet.bigearthnet_dataset_builder"
        == run_python(code).splitlines()[-1]
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_named_like_its_package(package: str) -> None:
    """`load_dataset("<package>")` cannot take a module of a checkout for a script."""
    names = {path.name for path in (ROOT / package).iterdir()}

    assert "__init__.py" in names
    assert set() == names & {f"{package}.py", package}


def test_public_names_exist() -> None:
    """Every name in `__all__` can be imported and stands there once."""
    missing = [n for n in bigearthnet.__all__ if not hasattr(bigearthnet, n)]

    assert [] == missing
    assert len(bigearthnet.__all__) == len(set(bigearthnet.__all__))
