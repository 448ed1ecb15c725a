"""What is measured of a GPU, until the time is up; and tables of it."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# Steps that are measured take about so long, but for fast or slow ones.
_SECONDS = 2.0
_LEAST_STEPS, _MOST_STEPS = 4, 500

# Name of what has one batch, which lies on the device already: nothing to wait for.
HELD = "one batch on the device"

# Keywords of each precision for `Settings`, most important first.
PRECISIONS: Mapping[str, Mapping[str, bool]] = {
    "fp32": {},
    "bf16": {"mixed_precision": True},
    "tf32": {"tf32": True},
}


class Case(NamedTuple):
    """One model in one precision."""

    model: str
    precision: str


@dataclass(frozen=True)
class Result:
    """What was found of a case.

    Attributes:
        case: The case.
        batch_size: Images of a step.
        step_s: Where images come from → seconds of a step.
        memory_nbytes: The most memory of the device; None where that is not known.
    """

    case: Case
    batch_size: int
    step_s: Mapping[str, float]
    memory_nbytes: int | None

    def rate(self, feed: str) -> float:
        """Images per second."""
        return self.batch_size / self.step_s[feed]

    def waiting(self, feed: str) -> float:
        """Share of the time by which steps take longer than with nothing to wait for.

        A GPU computes beside the program, so that the time for which the program waits
        for a batch would say little.
        """
        return max(0.0, 1 - self.step_s[HELD] / self.step_s[feed])

    def to_json(self) -> dict[str, Any]:
        """Returns every figure."""
        return {
            **self.case._asdict(),
            "memory_nbytes": self.memory_nbytes,
            "feeds": {
                feed: {
                    "step_ms": 1000 * seconds,
                    "images_per_s": self.rate(feed),
                    "waiting": self.waiting(feed),
                }
                for feed, seconds in self.step_s.items()
            },
        }


class Missing(NamedTuple):
    """A case that has no result, and why."""

    case: Case
    reason: str


def list_cases(models: Sequence[str]) -> list[Case]:
    """Lists cases, most important first: the first model, then one after the other."""
    first = [Case(models[0], precision) for precision in PRECISIONS]
    rest = [Case(model, precision) for precision in PRECISIONS for model in models]
    return list(dict.fromkeys(first + rest))


def measure_cases(
    cases: Iterable[Case],
    measure: Callable[[Case], Result],
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Result | Missing]:
    """Measures cases in order, until the longest of them might end too late.

    Args:
        cases: The cases.
        measure: Measures one.
        deadline: When to be done, by the clock.
        clock: Tells the time in seconds.

    Yields:
        What was found of each.
    """
    longest = 0.0
    for case in cases:
        start = clock()
        if start + longest >= deadline:
            yield Missing(case, "no time was left")
            continue
        try:
            yield measure(case)
        except Exception as error:  # others must not be lost: too little memory, say
            text = str(error).strip().partition("\n")[0]
            yield Missing(case, f"{type(error).__name__}: {text}")
        longest = max(longest, clock() - start)


def time_feed(start: Callable[[int], Iterator[Any]]) -> float:
    """Measures steps for about two seconds, after a few that say how many these are.

    Args:
        start: Takes a number of steps, and begins to take them; what it yields after
            each becomes a float when the device is done with it.

    Returns:
        Seconds of a step.
    """
    estimate = _time_steps(start(1 + _LEAST_STEPS))
    count = min(max(round(_SECONDS / estimate), _LEAST_STEPS), _MOST_STEPS)
    return _time_steps(start(1 + count))


def _time_steps(steps: Iterator[Any]) -> float:
    """Returns seconds of a step; the first, which compiles or starts, is left out."""
    float(next(steps))
    start = time.monotonic()
    count, last = collections.deque(enumerate(steps, start=1), maxlen=1)[0]
    float(last)
    return (time.monotonic() - start) / count


def make_json(
    found: Sequence[Result | Missing],
    machine: Mapping[str, object],
    options: Mapping[str, object],
) -> dict[str, Any]:
    """Returns every figure, the machine, and what has no figure."""
    return {
        "machine": machine,
        "options": options,
        "results": [one.to_json() for one in found if isinstance(one, Result)],
        "not_measured": [
            {**one.case._asdict(), "reason": one.reason}
            for one in found
            if isinstance(one, Missing)
        ],
    }


def format_results(
    found: Sequence[Result | Missing],
    machine: Mapping[str, object],
    options: Mapping[str, object],
) -> str:
    """Returns what is to be pasted into docs/baselines.md."""
    results = [one for one in found if isinstance(one, Result)]
    lines = [
        f"By `python -m benchmarks.gpu` on {machine['device']} ("
        f"{machine['processor']}, {machine['cores']} cores, {machine['versions']}, "
        f"{machine['date']}): {options['patches']:,} synthetic patches, "
        f"{options['batch_size']} images a step.",
    ]
    if results:
        feeds = [feed for feed in results[0].step_s if feed != HELD]
        names = ["model", "precision", HELD, *feeds, "memory"]
        lines += [
            "",
            f"| {' | '.join(names)} |",
            f"| --- | --- |{' ---: |' * (len(names) - 2)}",
            *(_format_row(result, feeds) for result in results),
            "",
            "Images/s, and the share of the time that steps wait for images; memory of "
            "the device is the most that was in use.",
        ]
    reasons: dict[str, list[str]] = {}
    for one in found:
        if isinstance(one, Missing):
            reasons.setdefault(one.reason, []).append(" ".join(one.case))
    for reason, names in reasons.items():
        lines += ["", f"Not measured ({reason}): {', '.join(names)}."]
    return "\n".join(lines) + "\n"


def _format_row(result: Result, feeds: list[str]) -> str:
    memory = result.memory_nbytes
    cells = [
        *result.case,
        f"{result.rate(HELD):,.0f}",
        *(f"{result.rate(feed):,.0f} ({result.waiting(feed):.0%})" for feed in feeds),
        "–" if memory is None else f"{memory / 1e9:.2f} GB",
    ]
    return f"| {' | '.join(cells)} |"
