"""Beam: on this machine with its FnApiRunner, or on Dataflow, Flink and others.

A pipeline returns nothing: Beam writes what the tasks return below its `temp_location`,
each result once however often a task was repeated, and it is read from there.
"""

from __future__ import annotations

import base64
import pickle
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from bigearthnet.errors import EngineError, OptionError
from bigearthnet.util.command import check_packages

T = TypeVar("T")
R = TypeVar("R")

# Beam's names of the runner that tries another one first, and falls back silently.
_SILENT: Final = ("DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner")


class BeamEngine:
    """Runs each map as a pipeline. FnApiRunner repeats nothing; most others do."""

    def __init__(self, options: Sequence[str], folder: str) -> None:
        """Takes what the pipelines are run with.

        Args:
            options: Beam's options, the runner among them.
            folder: Where results go; all workers must reach it.
        """
        self._options, self._folder = list(options), folder

    def map(self, task: Callable[[T], R], values: Sequence[T]) -> Iterator[R]:
        """Yields the results when all are there; see `Engine.map`.

        Raises:
            EngineError: If Beam gives up a task.
        """
        import apache_beam as beam
        from apache_beam.io.filesystems import FileSystems
        from apache_beam.options.pipeline_options import PipelineOptions

        folder = FileSystems.join(self._folder, f"bigearthnet-{uuid.uuid4().hex}")
        FileSystems.mkdirs(folder)
        try:
            try:
                with beam.Pipeline(options=PipelineOptions(self._options)) as pipeline:
                    (
                        pipeline
                        | beam.Create(list(values))
                        | beam.Map(task)
                        | beam.Map(_encode)
                        | beam.io.WriteToText(FileSystems.join(folder, "results"))
                    )
            except Exception as cause:  # runners raise errors of any kind
                raise EngineError(
                    f"Beam gave up ({cause}). Look at the logs of its workers, then "
                    "run the same command again."
                ) from cause
            (found,) = FileSystems.match([FileSystems.join(folder, "results*")])
            for file in found.metadata_list:
                with FileSystems.open(file.path) as lines:
                    yield from map(_decode, lines)
        finally:
            FileSystems.delete([folder])


def _encode(result: Any) -> str:
    return base64.b64encode(pickle.dumps(result)).decode()


def _decode(line: bytes) -> Any:
    return pickle.loads(base64.b64decode(line))


@contextmanager
def open_beam(options: Sequence[str]) -> Iterator[BeamEngine]:
    """Checks Beam's options; a context manager.

    Args:
        options: Beam's own, such as --runner=DataflowRunner; FnApiRunner without one.
            Runners on other machines need a --temp_location that these reach.

    Raises:
        OptionError: If they name a runner or mode that loses or hides something, or the
            extra [beam] is not installed.
    """
    check_packages("beam", "apache_beam")
    from apache_beam.options.pipeline_options import PipelineOptions

    given = PipelineOptions(list(options)).get_all_options(drop_default=True)
    runner = given.get("runner") or "FnApiRunner"
    if runner.rpartition(".")[2] in _SILENT:
        raise OptionError(
            f"--runner={runner}: it tries another runner first, and falls back without "
            "a word. Name --runner=FnApiRunner."
        )
    if given.get("direct_running_mode") == "multi_threading":
        raise OptionError(
            "--direct_running_mode=multi_threading loses elements. Use "
            "multi_processing, or in_memory."
        )
    folder = given.get("temp_location")
    if runner.rpartition(".")[2] != "FnApiRunner" and folder is None:
        raise OptionError(
            f"--runner={runner} needs --temp_location, a folder or URL that its "
            "workers reach: what tasks return goes there."
        )
    with tempfile.TemporaryDirectory(prefix="bigearthnet-beam-") as own:
        yield BeamEngine([*options, f"--runner={runner}"], folder or own)
