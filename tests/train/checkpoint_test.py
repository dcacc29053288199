"""Whole or not at all; the newest that can be read; another network is refused by name."""

from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.steps import init_state
from jaxvision.train.types import TrainState


def state_of(value: float, width: int = 3) -> TrainState:
    params = {"layer": {"w": jnp.full((2, width), value)}}
    tx = optax.adam(optax.cosine_decay_schedule(0.1, 10))
    return init_state(jax.random.PRNGKey(int(value)), {"params": params}, tx.init(params), {"queue": jnp.ones((4, 2))})


def damage(step_folder: Path) -> None:
    for path in step_folder.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_state_comes_back_bit_for_bit(tmp_path: Path):
    saved = Checkpoints(tmp_path)
    saved.save(7, state_of(1.5), {"data": {"step": 7}})
    state, extra = saved.restore(jax.eval_shape(lambda: state_of(0.0)))
    chex.assert_trees_all_equal(state, jax.device_get(state_of(1.5)))
    assert extra == {"data": {"step": 7}} and saved.read_extra() == extra
    saved.close()


def test_nothing_saved_is_none(tmp_path: Path):
    assert Checkpoints(tmp_path).restore(state_of(0.0)) is None


def test_the_last_few_are_kept(tmp_path: Path):
    saved = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 3):
        saved.save(step, state_of(step), {})
    saved.wait()
    assert saved.steps() == [2, 3]


def test_a_save_cut_short_does_not_count(tmp_path: Path):
    saved = Checkpoints(tmp_path)
    saved.save(1, state_of(1.0), {})
    saved.close()
    (tmp_path / "2.orbax-checkpoint-tmp" / "state").mkdir(parents=True)  # what a kill leaves behind
    state, _ = Checkpoints(tmp_path).restore(state_of(0.0))
    np.testing.assert_array_equal(state.params["layer"]["w"], np.ones((2, 3)))


def test_a_damaged_one_is_passed_over_and_put_aside_when_its_step_is_saved_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    saved = Checkpoints(tmp_path)
    for step in (1, 2):
        saved.save(step, state_of(step), {})
    saved.wait()
    damage(tmp_path / "2")
    state, _ = saved.restore(state_of(0.0))
    assert float(state.params["layer"]["w"][0, 0]) == 1 and "2 cannot be read" in caplog.text
    saved.save(2, state_of(5.0), {})
    state, _ = saved.restore(state_of(0.0))
    assert float(state.params["layer"]["w"][0, 0]) == 5 and (tmp_path / "unreadable-2").exists()


def test_no_readable_one_is_an_error(tmp_path: Path):
    saved = Checkpoints(tmp_path)
    saved.save(1, state_of(1.0), {})
    saved.wait()
    damage(tmp_path / "1")
    with pytest.raises(ValueError, match="no checkpoint can be read"):
        saved.restore(state_of(0.0))


def test_another_network_is_refused_by_the_name_of_its_array(tmp_path: Path):
    saved = Checkpoints(tmp_path)
    saved.save(1, state_of(1.0), {})
    with pytest.raises(ValueError, match=r"params/layer/w is \(2, 3\) in the checkpoint and \(2, 5\) in this network"):
        saved.restore(state_of(0.0, width=5))
