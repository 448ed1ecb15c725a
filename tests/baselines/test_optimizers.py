from __future__ import annotations

import keras
import pytest
import tensorflow as tf

from baselines.optimizers import (
    choose_jit,
    choose_policy,
    make_optimizer,
    make_schedule,
)
from baselines.settings import Settings
from bigearthnet.errors import OptionError


def rate(settings: Settings, step: int, total: int = 100) -> float:
    """The learning rate of a step."""
    made = make_schedule(settings, total)
    return made if isinstance(made, float) else float(made(step))


def test_the_default_rate_is_constant() -> None:
    """Without schedule and warm-up, the rate is a number."""
    assert 0.01 == make_schedule(Settings(), 100)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"warmup_steps": 10}, {0: 0, 5: 0.5, 10: 1, 99: 1}),
        ({"schedule": "cosine"}, {0: 1, 50: 0.5, 100: 0}),
        ({"schedule": "cosine", "warmup_steps": 20}, {10: 0.5, 20: 1, 60: 0.5, 100: 0}),
    ],
)
def test_schedules(changes: dict[str, object], expected: dict[int, float]) -> None:
    """The rate rises in a line, then stays or falls along half a cosine."""
    settings = Settings(learning_rate=1.0, **changes)

    assert pytest.approx(expected, abs=1e-6) == {
        step: rate(settings, step) for step in expected
    }


def test_a_warmup_beyond_the_end_is_refused() -> None:
    """A warm-up as long as the training leaves nothing to train."""
    with pytest.raises(OptionError, match=r"warmup_steps.*less than the 100 steps"):
        make_schedule(Settings(warmup_steps=100), 100)


def test_optimizers_are_as_said() -> None:
    """SGD with momentum, or Adam; no scaled loss in float32 and bfloat16."""
    sgd = make_optimizer(Settings(momentum=0.0, mixed_precision=True), 3)
    adam = make_optimizer(Settings(optimizer="adam", learning_rate=0.5), 3)

    assert isinstance(sgd, keras.optimizers.SGD)
    assert isinstance(adam, keras.optimizers.Adam)
    assert (0.0, 0.5) == (sgd.momentum, float(adam.learning_rate))


def test_weight_decay_is_for_kernels() -> None:
    """A step of AdamW without a gradient takes rate times decay off kernels alone."""
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    )
    for variable in model.variables:
        variable.assign(tf.ones(variable.shape))
    settings = Settings(optimizer="adamw", learning_rate=0.5, weight_decay=0.25)
    optimizer = make_optimizer(settings, 3)

    optimizer.apply(
        [tf.zeros(v.shape) for v in model.trainable_variables],
        model.trainable_variables,
    )

    expected = {"kernel": 1 - 0.5 * 0.25, "bias": 1.0, "gamma": 1.0, "beta": 1.0}
    assert expected == {
        v.name: float(v.numpy().ravel()[0]) for v in model.trainable_variables
    }


@pytest.mark.parametrize(
    ("capabilities", "policy"),
    [
        ([], "mixed_bfloat16"),
        ([(8, 0), (9, 0)], "mixed_bfloat16"),
        ([(8, 0), (7, 0)], "mixed_float16"),
        ([None], "mixed_float16"),
    ],
)
def test_the_precision_is_what_all_devices_have(
    monkeypatch: pytest.MonkeyPatch, capabilities: list[object], policy: str
) -> None:
    """float16, with a scaled loss, only where a GPU has no bfloat16."""
    details = [{"compute_capability": c} if c else {} for c in capabilities]
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: list(range(len(details)))
    )
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda index: details[index]
    )
    optimizer = make_optimizer(Settings(mixed_precision=True), 3)

    assert policy == choose_policy(Settings(mixed_precision=True))
    assert "float32" == choose_policy(Settings())
    assert (policy == "mixed_float16") == isinstance(
        optimizer, keras.optimizers.LossScaleOptimizer
    )


def test_xla_is_for_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is off on a CPU and on several devices, on where there is one GPU."""
    one = tf.distribute.get_strategy()

    assert not choose_jit(Settings(), one)
    assert choose_jit(Settings(jit_compile="on"), one)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU:0"])
    assert choose_jit(Settings(), one)
    assert not choose_jit(Settings(jit_compile="off"), one)


def test_xla_on_several_devices_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for on two devices it is an error; `auto` leaves it off."""

    class Two:
        num_replicas_in_sync = 2

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU:0"])

    assert not choose_jit(Settings(), Two())
    with pytest.raises(OptionError, match="jit_compile"):
        choose_jit(Settings(jit_compile="on"), Two())
