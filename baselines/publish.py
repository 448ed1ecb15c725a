"""Publishes an exported model: to a hub that speaks Hugging Face's protocol.

What is published is compared with its checksums first; then one commit adds it, with a
card whose metadata (results, data set, classes, bands, scaling) come from its
settings.json and results.json. `baselines.from_hub("ORG/NAME")` loads it again.

Credentials come from the environment or the login of the hub (`hf auth login`).

Example:
  python -m baselines.publish --exported=exported --to=me/s_cnn_all --license=apache-2.0
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from baselines.decisions import METRICS
from baselines.exported import CHECKSUMS, check_files
from baselines.model_card import CARD, find_results
from baselines.results_json import read_content
from baselines.workdir import Run, read_run
from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES
from bigearthnet.release.bands import BY_NAME
from bigearthnet.schema.configs import get_config
from bigearthnet.util import command
from bigearthnet.util.hub_client import call, uploading

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

# Source: huggingface_hub's validate_repo_id; the organisation is not optional here.
_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_DATASET = "BigEarthNet"


def publish(
    exported: Path,
    to: str,
    *,
    license_name: str,
    endpoint: str | None = None,
    tag: str | None = None,
) -> str:
    """Publishes an exported model in one commit.

    Args:
        exported: What `baselines.export` made.
        to: `ORG/NAME`.
        license_name: What applies to the weights, as the hub calls it.
        endpoint: Address of the hub; None for the client's own.
        tag: Name of a tag to set; None for none.

    Returns:
        The commit.

    Raises:
        OptionError: If an option is invalid, or a package is not installed.
        WeightsError: If the folder is no export, or its files were changed.
        ResultError: If one of its results.json is damaged.
        PublishError: If the hub refuses it, or cannot be reached.
    """
    if not _REPO.fullmatch(to):
        raise OptionError(f"--to: expected ORG/NAME, got {to!r}.")
    command.check_packages("hub", "huggingface_hub")
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    names = [*check_files(exported), CHECKSUMS]
    card = (exported / CARD).read_text(encoding="utf-8")
    text = make_metadata(exported, to, license_name) + card
    additions = [CommitOperationAdd(name, exported / name) for name in names]
    additions.append(CommitOperationAdd(CARD, text.encode()))
    api = HfApi(endpoint=endpoint)

    def commit() -> str:
        api.create_repo(to, exist_ok=True)
        left = set(api.list_repo_files(to)) - {*names, CARD, ".gitattributes"}
        with uploading(to, api.endpoint, "model"):
            done = api.create_commit(
                to,
                [*additions, *map(CommitOperationDelete, sorted(left))],
                commit_message="Publish a model of baselines.export",
            )
        if tag is not None:
            api.create_tag(to, tag=tag, revision=done.oid)
        return str(done.oid)

    return call(to, commit)


def make_metadata(exported: Path, repo: str, license_name: str) -> str:
    """Makes the header of a card, in YAML between two lines of dashes.

    Args:
        exported: What `baselines.export` made.
        repo: `ORG/NAME`; models are called NAME.
        license_name: What applies to the weights.

    Raises:
        ResultError: If one of its results.json is damaged.
    """
    from huggingface_hub import ModelCardData

    run = read_run(exported)
    data = ModelCardData(
        license=license_name,
        library_name="keras",
        pipeline_tag="image-classification",
        datasets=[_DATASET.lower()],
        tags=["remote-sensing", *_list_sensors(run), "multi-label", "land-cover"],
        model_name=repo.partition("/")[2],
        eval_results=list(_read_results(exported)) or None,
        bigearthnet=_describe(run),
    )
    return f"---\n{data.to_yaml()}\n---\n\n"


def _describe(run: Run) -> dict[str, Any]:
    """Describes what a program needs to feed the model, and to read what it gives."""
    return {
        "dataset_license": "cdla-permissive-1.0",
        "release": run.settings.stored.release.name,
        "train_split": run.settings.train_split,
        "classes": list(run.settings.nomenclature.labels),
        "groups": list(run.settings.groups),
        "bands": list(run.settings.bands),
        "scaling": run.scaling,
    }


def _list_sensors(run: Run) -> list[str]:
    """Returns the tags of the satellites whose bands a model takes."""
    optical = {band in BY_NAME for band in run.settings.bands}
    return [f"sentinel-{2 if is_optical else 1}" for is_optical in sorted(optical)]


def _read_results(exported: Path) -> Iterator[EvalResult]:
    from huggingface_hub import EvalResult

    for path in find_results(exported):
        content = read_content(path)
        data, classes = content.data, content.nomenclature.name
        release = get_config(data.config, RELEASES).release.name
        averages = {"": content.metrics.per_patch}
        if content.tuned:
            tuned = f", threshold tuned on {content.tuned.split}"
            averages[tuned] = content.tuned.metrics.per_patch
        remarks = "".join(f"; {remark}" for remark in content.remarks)
        for how, values in averages.items():
            for name in METRICS:
                yield EvalResult(
                    task_type="image-classification",
                    task_name="multi-label classification",
                    dataset_type=_DATASET.lower(),
                    dataset_name=f"{_DATASET} {release}",
                    dataset_config=data.config,
                    dataset_split=data.split,
                    metric_type=name,
                    metric_name=f"{name} per patch, {classes}{how}{remarks}",
                    metric_value=getattr(values, name),
                )


def _define_flags() -> None:
    command.define_path("exported", None, "What was exported.", required=True)
    flags.DEFINE_string("to", None, "ORG/NAME on the hub.", required=True)
    flags.DEFINE_string(
        "license",
        None,
        "What applies to the weights, as the hub calls it: apache-2.0, say.",
        required=True,
    )
    flags.DEFINE_string("endpoint", None, "Address of the hub's server.")
    flags.DEFINE_string("tag", None, "Tag to set on the commit.")


def _main() -> None:
    command.check_packages("baselines", "jsonschema", "pydantic")
    values = flags.FLAGS
    licence = str(values["license"].value)
    print(
        f"publishes {values.exported} at {values.to}, under {licence}", file=sys.stderr
    )
    oid = publish(
        values.exported,
        values.to,
        license_name=licence,
        endpoint=values.endpoint,
        tag=values.tag,
    )
    print(f'{values.to} at {oid}\nnext: baselines.from_hub("{values.to}") loads it')


if __name__ == "__main__":
    command.run(_main, _define_flags)
