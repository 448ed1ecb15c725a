"""The hosts of a training on several, as the variable `TF_CONFIG` names them.

Every host runs the same command. All compute, the chief alone writes; what must be the
same everywhere is compared before it is relied on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baselines.errors import ClusterError
from bigearthnet.errors import OptionError

if TYPE_CHECKING:
    import tensorflow as tf

_VARIABLE = "TF_CONFIG"
# Kinds of hosts that compute, in the order in which TensorFlow numbers them.
_KINDS = ("chief", "worker")
_EXPECTED = (
    'Expected {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", '
    '"index": 0}}, the index being that of this host; or no such variable.'
)
_LARGEST_PORT = 2**16 - 1


@dataclass(frozen=True)
class Cluster:
    """Hosts that train one model.

    Attributes:
        addresses: Host and port of each, the chief's first.
        index: Which of them this process is.
    """

    addresses: tuple[str, ...]
    index: int


def read_cluster(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Reads `TF_CONFIG`; None without one, or where it names one host alone.

    The form is that of `tf.distribute.cluster_resolver.TFConfigClusterResolver`.

    Raises:
        OptionError: If it is not that of a cluster of hosts that all train.
    """
    text = environment.get(_VARIABLE, "")
    if not text:
        return None
    try:
        content = json.loads(text)
    except ValueError as cause:
        raise _make_error(f"it is not JSON ({cause})", text) from None
    hosts = _read_hosts(content, text)
    task = content.get("task")
    if not isinstance(task, Mapping) or task.get("type") not in hosts:
        raise _make_error(f"task has to have a type, one of {', '.join(hosts)}", text)
    kind, index = task["type"], task.get("index")
    if type(index) is not int or not 0 <= index < len(hosts[kind]):
        last = len(hosts[kind]) - 1
        raise _make_error(f"the index of task has to be one of 0 to {last}", text)
    addresses = tuple(a for name in _KINDS for a in hosts.get(name, ()))
    if len(addresses) == 1:
        return None
    before = len(hosts.get("chief", ())) if kind == "worker" else 0
    return Cluster(addresses, before + index)


def _read_hosts(content: Any, text: str) -> dict[str, list[str]]:
    """Returns kind → addresses."""
    hosts = content.get("cluster") if isinstance(content, Mapping) else None
    if not isinstance(hosts, Mapping) or not hosts:
        raise _make_error("it names no cluster", text)
    for kind, addresses in hosts.items():
        if kind not in _KINDS:
            raise _make_error(f"hosts are {' or '.join(_KINDS)}, not {kind}", text)
        if not isinstance(addresses, list) or not addresses:
            raise _make_error(f"{kind} has to be a list of addresses", text)
        for address in addresses:
            if not _is_address(address):
                raise _make_error(f"{address!r} is no host:port", text)
    if len(hosts.get("chief", [0])) > 1:
        raise _make_error("there is one chief", text)
    found = [address for addresses in hosts.values() for address in addresses]
    if twice := {address for address in found if found.count(address) > 1}:
        raise _make_error(f"{', '.join(sorted(twice))} is named twice", text)
    return dict(hosts)


def _is_address(address: object) -> bool:
    host, _, port = str(address).rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) <= _LARGEST_PORT
    return isinstance(address, str) and bool(host) and is_port


def _make_error(problem: str, text: str) -> OptionError:
    return OptionError(f"{_VARIABLE}: {problem}. {_EXPECTED} Got {text}.")


def refuse_cluster(command: str) -> None:
    """Refuses to run a command of one process on several hosts.

    Args:
        command: Its name.

    Raises:
        OptionError: If `TF_CONFIG` names several hosts, or is no cluster.
    """
    cluster = read_cluster()
    if cluster is not None:
        raise OptionError(
            f"{_VARIABLE} names {len(cluster.addresses)} hosts, and {command} runs on "
            f"one: each would write the same files. Run it once, without {_VARIABLE}."
        )


def join_cluster(cluster: Cluster) -> tf.distribute.Strategy:
    """Connects to the other hosts, and waits for them.

    Has to come before anything that TensorFlow computes, and once in a process.

    Raises:
        ClusterError: If they cannot be reached, or TensorFlow runs already.
    """
    import tensorflow as tf

    others = ", ".join(a for a in cluster.addresses if a != _address(cluster))
    print(f"{_address(cluster)}: waits for {others}", flush=True)
    tf.get_logger().setLevel("ERROR")  # else it tells of each sum, and of each `gather`
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, tf.errors.OpError) as cause:
        raise ClusterError(
            f"{_address(cluster)} cannot join {others}: {_first_line(cause)} Expected "
            "addresses that every host can reach, free ports, and a new process."
        ) from None


def _address(cluster: Cluster) -> str:
    return cluster.addresses[cluster.index]


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes; it is if it is alone."""
    return bool(strategy.extended.should_checkpoint)


def gather(strategy: tf.distribute.Strategy, value: int) -> list[int]:
    """Returns the values of all hosts; waits until all have come here.

    Args:
        strategy: Of the cluster, or of one host.
        value: The value of this host, int64.

    Returns:
        One value for each device.
    """
    import tensorflow as tf

    if strategy.cluster_resolver is None:
        return [value]
    values = strategy.experimental_distribute_values_from_function(
        lambda _: tf.constant([value], tf.int64)
    )
    found: list[int] = strategy.gather(values, axis=0).numpy().tolist()
    return found


def check_same(strategy: tf.distribute.Strategy, what: str, value: object) -> None:
    """Refuses to go on where hosts differ; waits until all have come here.

    Args:
        strategy: Of the cluster, or of one host.
        what: What is compared, and what to do if it differs, as a sentence.
        value: What has to be the same, by its text.

    Raises:
        ClusterError: If it differs, on every host.
    """
    digest = hashlib.sha256(str(value).encode()).digest()
    if len(set(gather(strategy, int.from_bytes(digest[:7])))) > 1:
        raise ClusterError(f"the hosts differ in {what}")


@contextlib.contextmanager
def report_lost_hosts() -> Iterator[None]:
    """Says in one error that another host has ended, or cannot be reached any more.

    Raises:
        ClusterError: In place of TensorFlow's error.
    """
    try:
        yield
    except Exception as cause:  # of a class that only TensorFlow knows
        found = str(cause).partition("Collective ops is aborted by: ")[2]
        if not found:
            raise
        raise ClusterError(
            f"another host has ended, or cannot be reached ({_first_line(found)}). "
            "See what it says itself; then start the same command on all hosts: it "
            "goes on from the last state."
        ) from None


def _first_line(cause: object) -> str:
    return next(iter(str(cause).splitlines()), "").rstrip(":")
