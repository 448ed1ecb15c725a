from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines import compare, export, fetch_weights, predict, workdir
from baselines.cluster import Cluster, read_cluster
from baselines.evaluate import evaluate
from baselines.results import evaluation_folder, read_results
from baselines.scoring import Data
from baselines.settings import Settings
from baselines.train import train
from bigearthnet.errors import OptionError
from bigearthnet.util.files import read_json_object
from tests.baselines.test_training import make_data, make_trainer, run

TIMEOUT_S = 300
TWO = {"worker": ["a:1", "b:1"]}
FIRST = {"type": "worker", "index": 0}


def describe(**content: Any) -> dict[str, str]:
    """An environment with this `TF_CONFIG`."""
    return {"TF_CONFIG": json.dumps(content)}


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "expected"),
    [
        (TWO, "worker", 1, Cluster(("a:1", "b:1"), 1)),
        ({**TWO, "chief": ["c:1"]}, "worker", 1, Cluster(("c:1", "a:1", "b:1"), 2)),
        ({**TWO, "chief": ["c:1"]}, "chief", 0, Cluster(("c:1", "a:1", "b:1"), 0)),
        ({"worker": ["a:1"]}, "worker", 0, None),
    ],
)
def test_a_cluster_is_read(
    cluster: Any, kind: str, index: int, expected: Cluster | None
) -> None:
    """The chief comes first; one host alone is no cluster."""
    task = {"type": kind, "index": index}

    assert expected == read_cluster(describe(cluster=cluster, task=task))


@pytest.mark.parametrize("environment", [{}, {"TF_CONFIG": ""}])
def test_without_the_variable_there_is_no_cluster(environment: dict[str, str]) -> None:
    """A variable that is not set, or is empty, names no hosts."""
    assert read_cluster(environment) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "names no cluster"),
        ({"task": FIRST}, "names no cluster"),
        ({"cluster": {}, "task": FIRST}, "names no cluster"),
        ({"cluster": TWO}, "task has to have a type, one of worker"),
        ({"cluster": TWO, "task": {"index": 0}}, "one of worker"),
        ({"cluster": TWO, "task": {"type": "chief", "index": 0}}, "one of worker"),
        ({"cluster": TWO, "task": {"type": "worker"}}, "one of 0 to 1"),
        ({"cluster": TWO, "task": {"type": "worker", "index": 2}}, "one of 0 to 1"),
        ({"cluster": TWO, "task": {"type": "worker", "index": "0"}}, "one of 0 to 1"),
        ({"cluster": {**TWO, "ps": ["c:1"]}, "task": FIRST}, "chief or worker, not ps"),
        ({"cluster": {**TWO, "chief": ["c:1", "d:1"]}, "task": FIRST}, "one chief"),
        ({"cluster": {"worker": []}, "task": FIRST}, "a list of addresses"),
        ({"cluster": {"worker": "a:1"}, "task": FIRST}, "a list of addresses"),
        ({"cluster": {"worker": ["a", "b:1"]}, "task": FIRST}, "'a' is no host:port"),
        ({"cluster": {"worker": ["a:1", "a:1"]}, "task": FIRST}, "a:1 is named twice"),
        ({"cluster": {**TWO, "chief": ["a:1"]}, "task": FIRST}, "a:1 is named twice"),
    ],
    ids=str,
)
def test_a_half_set_variable_is_refused(text: Any, message: str) -> None:
    """What names no whole cluster is an error that shows what was expected."""
    value = text if isinstance(text, str) else json.dumps(text)
    with pytest.raises(OptionError, match=message) as caught:
        read_cluster({"TF_CONFIG": value})
    assert 'Expected {"cluster": {"worker"' in str(caught.value)
    assert value in str(caught.value)


@pytest.mark.parametrize("module", [compare, export, fetch_weights, predict])
def test_other_commands_refuse_several_hosts(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command of one process says that `TF_CONFIG` names several hosts, and ends."""
    monkeypatch.setenv("TF_CONFIG", describe(cluster=TWO, task=FIRST)["TF_CONFIG"])
    with pytest.raises(OptionError, match=rf"2 hosts, and {module.__name__} runs on"):
        module._main(*([[]] if module is predict else []))


def find_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(*arguments: str) -> list[subprocess.Popen[str]]:
    """Starts the same Python program on two hosts of the loopback interface."""
    addresses = [f"127.0.0.1:{port}" for port in find_ports(2)]
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={
                **os.environ,
                **describe(
                    cluster={"worker": addresses},
                    task={"type": "worker", "index": index},
                ),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]


def finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Waits for processes; returns status, output and errors of each."""
    try:
        ends = [process.communicate(timeout=TIMEOUT_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, *end) for p, end in zip(processes, ends, strict=True)]


CHANGES = {
    "batch_size": 5,  # the last batch has one patch, fewer than there are hosts
    "optimizer": "adam",
    "l2": 0.1,
    "learning_rate": 0.05,
    "early_stopping_patience": 2,
    "epochs": 4,
}
_TRAIN_HEAD = """
import json, sys
from pathlib import Path
import numpy as np
from baselines.optimizers import choose_strategy
strategy = choose_strategy()
sys.path.insert(0, sys.argv[1])
from test_training import make_data, make_trainer, run
data, read = make_data(), []
plain = data.read
data.read = lambda rows: read.extend(rows.tolist()) or plain(rows)
changes, folder = json.loads(sys.argv[2]), Path(sys.argv[3])
for epochs in (2, changes["epochs"]):
    some = {**changes, "epochs": epochs}
    trainer = make_trainer(make_data(5), data=data, strategy=strategy, **some)
    run(trainer, folder)
weights = [float(np.sum(v.numpy())) for v in trainer.model.variables]
print(json.dumps([trainer.state.history, weights, read]))
"""


@pytest.mark.slow
def test_two_hosts_give_the_losses_of_one(tmp_path: Path) -> None:
    """Each reads its rows alone, once an epoch; losses and weights are those of one."""
    folder = tmp_path / "two"
    folder.mkdir()
    expected = run(make_trainer(make_data(5), **CHANGES), tmp_path / "one")

    arguments = (str(Path(__file__).parent), json.dumps(CHANGES), str(folder))
    ends = finish(start("-c", _TRAIN_HEAD, *arguments))

    assert [0, 0] == [end[0] for end in ends], ends[0][2][-2000:]
    found = [json.loads(end[1].splitlines()[-1]) for end in ends]
    assert found[0][:2] == found[1][:2]
    history, weights, _ = found[0]
    for one, two in zip(expected.state.history, history, strict=True):
        assert pytest.approx(one, rel=0, abs=1e-5) == two
    sums = [float(np.sum(v.numpy())) for v in expected.model.variables]
    assert pytest.approx(sums, abs=1e-4) == weights
    first, second = (rows for _, _, rows in found)
    assert (4 * 13, 4 * 8) == (len(first), len(second))
    epochs = zip(
        np.split(np.array(first), 4), np.split(np.array(second), 4), strict=True
    )
    for rows in epochs:
        assert list(range(21)) == sorted(np.concatenate(rows))


@pytest.mark.slow
def test_a_killed_host_ends_the_others_and_all_go_on(
    all_stores: Path, tmp_path: Path
) -> None:
    """Kill -9 of the chief ends the run; the same command ends it as one host does."""
    one, two = tmp_path / "one", tmp_path / "two"
    options = {"model": "s_cnn_rgb", "train_split": "train+test+excluded"}
    options |= {"validation_split": "none", "third_pool": True, "fc_units": 4}
    options |= {"batch_size": 5, "epochs": 3, "deterministic": False}
    train(Settings(**options), all_stores, one, quiet=True)
    command = ["-m", "baselines.train", f"--data_dir={all_stores}", f"--workdir={two}"]
    command += ["--checkpoint_every_steps=1"]
    command += [f"--{name}={value}" for name, value in options.items()]

    processes = start(*command)
    state, end = two / workdir.CHECKPOINTS / "step-0000000003.npz", time.monotonic()
    while not state.exists() and time.monotonic() < end + TIMEOUT_S:
        assert processes[0].poll() is None, processes[0].communicate()[1][-2000:]
        time.sleep(0.001)
    processes[0].kill()
    _, (status, _, errors) = finish(processes)
    again = finish(start(*command))

    assert 1 == status
    assert "another host has ended" in errors.splitlines()[-1]
    assert [0, 0] == [process[0] for process in again], again[0][2][-2000:]
    losses = [
        [
            epoch["loss"]
            for epoch in read_json_object(folder / workdir.TRAINING)["epochs"]
        ]
        for folder in (one, two)
    ]
    assert pytest.approx(losses[0], abs=1e-5) == losses[1]

    command = ["-m", "baselines.evaluate", f"--data_dir={all_stores}"]
    ends = finish(start(*command, f"--workdir={two}", "--split=train+test"))
    assert [0, 0] == [process[0] for process in ends], ends[0][2][-2000:]
    (result, *_) = evaluate(one, Data(all_stores), split="train+test", quiet=True)
    scores = read_results(evaluation_folder(two, "train+test", None)).scores
    assert result.scores.patch_ids == scores.patch_ids
    np.testing.assert_array_equal(result.scores.y_true, scores.y_true)
    np.testing.assert_allclose(
        result.scores.probability, scores.probability, rtol=0, atol=1e-4
    )
    assert [True, False] == ["results:" in process[1] for process in ends]
