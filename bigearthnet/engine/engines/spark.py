"""Spark: its own master, YARN, Kubernetes, or the cores of this machine.

Where it runs, and with what, is for `spark-submit`, `spark-defaults.conf` or the
settings that are given here. Executors need this package, and the same Python.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from bigearthnet.errors import EngineError, OptionError
from bigearthnet.util.command import check_packages

if TYPE_CHECKING:
    from pyspark import SparkContext

T = TypeVar("T")
R = TypeVar("R")


class SparkEngine:
    """Runs tasks on executors; `spark.task.maxFailures` says how often each is tried.

    A master that is `local[N]` tries once; `local[N,TRIES]` more often.
    """

    def __init__(self, context: SparkContext) -> None:
        self._context = context

    def map(self, task: Callable[[T], R], values: Sequence[T]) -> Iterator[R]:
        """Yields the results when all are there; see `Engine.map`.

        Spark's `toLocalIterator` would yield them earlier, and run one after another.

        Raises:
            EngineError: If Spark gives up a task.
        """
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        if not values:
            return
        try:
            found = self._context.parallelize(values, len(values)).map(task).collect()
        except (Py4JError, PySparkException, OSError) as cause:
            raise EngineError(
                f"Spark gave up ({_first_lines(cause)}). Look at the logs of its "
                "executors, then run the same command again."
            ) from cause
        yield from found


@contextmanager
def open_spark(options: Sequence[str]) -> Iterator[SparkEngine]:
    """Starts a Spark session; a context manager, which stops it.

    Args:
        options: Settings of Spark, each NAME=VALUE, such as
            spark.master=spark://HOST:7077.

    Raises:
        OptionError: If an option is none, or the extra [spark] is not installed.
        EngineError: If Spark does not start, for want of Java for example.
    """
    pairs = [option.partition("=") for option in options]
    for option, (name, sign, _) in zip(options, pairs, strict=True):
        if not sign or not name.startswith("spark."):
            raise OptionError(
                "options of Spark: expected NAME=VALUE with a name that begins with "
                f"spark., such as spark.master=spark://HOST:7077, got {option!r}."
            )
    check_packages("spark", "pyspark")
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("bigearthnet")
    for name, _, value in pairs:
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except (Py4JError, PySparkException, OSError) as cause:
        raise EngineError(
            f"Spark does not start ({_first_lines(cause)}). It needs Java 17 or newer, "
            "and a master that answers: spark.master=spark://HOST:7077."
        ) from cause
    try:
        yield SparkEngine(session.sparkContext)
    finally:
        session.stop()


def _first_lines(cause: BaseException) -> str:
    """Returns what an error says, without the stack of the Java machine below it."""
    java = getattr(cause, "java_exception", None)
    text = str(java.getMessage() if java is not None else cause) or type(cause).__name__
    said = re.split(r"\n\s*(?:at |SQLSTATE|Driver stack)", text)[0]
    lines = said.strip().splitlines()
    return " ".join((lines[0], lines[-1]) if len(lines) > 1 else lines)
