"""Whole or not at all; the newest that can be read; another network is refused by name."""

import resource
from pathlib import Path
from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.train.checkpoint import Checkpoints, without_closed_loops
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


def test_without_the_list_of_its_arrays_a_checkpoint_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    saved = Checkpoints(tmp_path)
    for step in (1, 2):
        saved.save(step, state_of(step), {})
    saved.wait()
    (tmp_path / "2" / "state" / "_METADATA").unlink()
    state, _ = Checkpoints(tmp_path).restore(state_of(0.0))
    assert float(state.params["layer"]["w"][0, 0]) == 1 and "2 cannot be read" in caplog.text


def test_a_changed_position_in_the_data_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    saved = Checkpoints(tmp_path)
    for step in (1, 2):
        saved.save(step, state_of(step), {"data": {"step": step * 111}})
    saved.wait()
    (file,) = [path for path in (tmp_path / "2" / "extra").iterdir() if b"222" in path.read_bytes()]
    file.write_bytes(file.read_bytes().replace(b"222", b"223"))
    _, extra = Checkpoints(tmp_path).restore(state_of(0.0))
    assert extra == {"data": {"step": 111}} and "2 cannot be read (the position in the data was changed" in caplog.text
    assert Checkpoints(tmp_path).read_extra() == {"data": {"step": 111}}


def test_checkpoints_of_before_there_was_a_checksum_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    saved = Checkpoints(tmp_path)
    monkeypatch.setattr("jaxvision.train.checkpoint._checksum", lambda extra: 0)
    saved.save(1, state_of(1.0), {"data": 5})
    saved.wait()
    monkeypatch.undo()
    assert saved.restore(state_of(0.0))[1] == {"data": 5}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of orbax's threads
def test_what_cannot_be_written_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    saved = Checkpoints(tmp_path)
    saved.save(1, state_of(1.0), {})
    saved.wait()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
    try:
        with pytest.raises(
            ValueError, match=f"^{tmp_path}: a checkpoint cannot be written .*; the one before is whole"
        ):
            saved.save(2, state_of(2.0), {})
            saved.wait()
        assert "Traceback" not in caplog.text
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert float(Checkpoints(tmp_path).restore(state_of(0.0))[0].params["layer"]["w"][0, 0]) == 1


def test_storage_that_outlives_the_loop_says_nothing_and_any_other_fault_is_told():
    told = []
    report = without_closed_loops(told.append)
    others = [RuntimeError("cannot schedule new futures"), ValueError("Event loop is closed")]
    for error in (RuntimeError("Event loop is closed"), *others):
        report(SimpleNamespace(exc_value=error))
    assert [dropped.exc_value for dropped in told] == others
