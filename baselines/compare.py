r"""Compares trained models with each other, and with the paper.

Reads `evaluations/<split>/` of each workdir and writes `comparison.md`,
`comparison.json` and `comparison.html` (one file that needs nothing else): the paper's
Table 4 with our rows below its own, several seeds as mean ± standard deviation; every
pair of models with an interval and p-values; example patches with their labels and what
each model says of them; every class. With --data_dir the examples have pictures.

Each release, the official and the random split stand in tables of their own; v2.0 also
with macro and micro averages, as reBEN gives them. Runs that differ in patches, labels,
classes, split or threshold are refused.

Example:
  python -m baselines.compare --workdirs=runs/s_cnn_all,runs/s_cnn_rgb \
    --output=comparison --data_dir=data
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from baselines.cluster import refuse_cluster
from baselines.comparison.entries import group_evaluations, read_evaluation
from baselines.comparison.gallery import make_gallery
from baselines.comparison.markdown import (
    PICTURES,
    list_pictures,
    render_markdown,
    render_table,
)
from baselines.comparison.pairs import compare_pairs
from baselines.comparison.reben import make_reben_table
from baselines.comparison.report import Section, make_blocks, make_json
from baselines.comparison.tables import make_headline_table
from bigearthnet.errors import OptionError
from bigearthnet.report.page import Block, render_page
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.files import write_bytes, write_json, write_text
from bigearthnet.util.options import check_seed

TITLE = "Comparison of models on BigEarthNet"


def compare(
    workdirs: Sequence[Path],
    output: Path,
    *,
    split: str = "test",
    labels: str | None = None,
    config: str | None = None,
    data_dir: Path | None = None,
    num_examples: int = 6,
    seed: int = 0,
) -> list[Section]:
    """Compares the evaluations of some workdirs and writes the reports.

    Args:
        workdirs: The workdirs; at least one.
        output: Folder of the reports; it is made.
        split: The split that was evaluated.
        labels: Name of the nomenclature; None for the one the models learnt.
        config: Configuration that was evaluated; None for that of each run.
        data_dir: Data directory for pictures of the examples, or None.
        num_examples: Example patches of each group.
        seed: Seed of resamples, flips and examples.

    Returns:
        What was found out, a section for each release and split scheme.

    Raises:
        OptionError: If an option has no meaning, or the output must not be there; see
            `store.outputs.check_output`.
        ResultError: If an evaluation is missing or damaged, or runs must not be
            compared. Nothing is written then.
        BigEarthNetError: If the store of the pictures is missing or damaged.
    """
    check_seed(seed)
    check_output(output, "output")
    if not workdirs:
        raise OptionError("workdirs: expected at least one.")
    if num_examples < 0:
        raise OptionError(f"examples: expected 0 or more, got {num_examples}.")
    sections = [
        Section(
            group,
            compare_pairs(group, seed=seed),
            make_gallery(group, count=num_examples, seed=seed, data_dir=data_dir),
        )
        for group in group_evaluations(
            [read_evaluation(w, split, labels, config) for w in workdirs]
        )
    ]
    _write(make_blocks(sections), sections, output)
    return sections


def _write(blocks: Sequence[Block], sections: Sequence[Section], output: Path) -> None:
    (output / PICTURES).mkdir(parents=True, exist_ok=True)
    for name, content in list_pictures(blocks):
        write_bytes(content, output / PICTURES / name)
    write_json(make_json(sections), output / "comparison.json")
    write_text(render_markdown(TITLE, blocks), output / "comparison.md")
    write_text(render_page(TITLE, blocks), output / "comparison.html")


def _define_flags() -> None:
    command.define_path_list("workdirs", None, "Folders of trained models.")
    command.define_path("output", "comparison", "Folder for the reports.")
    flags.DEFINE_string("split", "test", "Split that was evaluated.")
    flags.DEFINE_string(
        "labels",
        None,
        "Classes: clc_level2, say, for models that learnt them and scores that were "
        "derived; by default those that the models learnt.",
    )
    flags.DEFINE_string(
        "config", None, "Configuration that was evaluated, by default that of each run."
    )
    command.define_path("data_dir", None, "Data directory, for pictures of examples.")
    flags.DEFINE_integer("examples", 6, "Example patches.")
    flags.DEFINE_integer("seed", 0, "Seed of resamples, flips and examples.")


def _main() -> None:
    refuse_cluster("baselines.compare")
    command.check_packages(
        "baselines",
        "sklearn",
        "scipy",
        "jinja2",
        "jsonschema",
        "pydantic",
        "matplotlib",
    )
    output = flags.FLAGS.output
    print(
        f"compares on {flags.FLAGS.split} what was evaluated in "
        f"{', '.join(map(str, flags.FLAGS.workdirs))}",
        file=sys.stderr,
    )
    sections = compare(
        flags.FLAGS.workdirs,
        output,
        split=flags.FLAGS.split,
        labels=flags.FLAGS.labels,
        config=flags.FLAGS.config,
        data_dir=flags.FLAGS.data_dir,
        num_examples=flags.FLAGS.examples,
        seed=flags.FLAGS.seed,
    )
    for section in sections:
        for make_table in (make_headline_table, make_reben_table):
            if table := make_table(section.group):
                print(f"{render_table(table)}\n")
    page = output / "comparison.html"
    print(f"results: {output}\nnext: open {page.absolute().as_uri()} in a browser")


if __name__ == "__main__":
    command.run(_main, _define_flags)
