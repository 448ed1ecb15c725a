"""How Sphinx makes the site: `make docs`.

The folder of sources is the repository, so that its pages (DESIGN.md and others) are
pages of the site, with the links that they have. The README is included by sections.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from nbclient import NotebookClient
from sphinx.application import Sphinx

import bigearthnet

project = "bigearthnet"
version = release = bigearthnet.__version__
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "benchmarks/**"]
exclude_patterns = [".*", "README.md", "build", "demo", "dist", "tests"]
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]

# Names in backticks in docstrings are code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True
python_use_unqualified_type_names = True

myst_heading_anchors = 3
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_output_stderr = "remove"  # what TensorFlow says of the machine
# What a command writes comes in pieces, which nb_merge_streams would put on new lines;
# myst_nb has no option for the one of nbclient that joins them.
NotebookClient.__init__ = functools.partialmethod(
    NotebookClient.__init__, coalesce_streams=True
)

html_theme = "furo"
html_title = "bigearthnet"
html_extra_path = ["root"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_search_summary = False  # would be fetched, which no browser does from disk


def point_from_docs(app: Sphinx, path: object, page: str, content: list[str]) -> None:
    """Makes links of an included file of the repository's root those of a page here."""
    content[0] = re.sub(r"\]\((?!#|\w+:)", "](../", content[0])


def add_title(app: Sphinx, page: str, content: list[str]) -> None:
    """Gives the tables of measurements a title, and headings of the level below."""
    if page.startswith("benchmarks/results/"):
        tables = content[0].replace("\n###", "\n##").removeprefix("#")
        content[0] = f"# Measured: {Path(page).name}\n\n{tables}"


def setup(app: Sphinx) -> None:
    """Is called by Sphinx."""
    app.connect("source-read", add_title)
    app.connect("include-read", point_from_docs)
