"""One device, several, several processes: the same result."""

import os
import subprocess
import sys
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

from jaxvision.train import devices
from tests.train import toy

ROOT = Path(__file__).parent.parent.parent
WAYS = [("jit", 1), ("jit", 2), ("jit", 4), ("pmap", 2), ("pmap", 4), ("shard_map", 2), ("shard_map", 4)]


def three_steps(mode: str, count: int) -> tuple[object, float]:
    where = devices.choose(mode, jax.devices()[:count])
    task, data = toy.regression(), toy.Numbers(0, 1)
    state = devices.place(jax.jit(task.init)(jax.random.PRNGKey(0), next(data)), where)
    step = devices.compile_step(task, where)
    for _ in range(3):
        state, metrics = step(state, next(data))
    return devices.to_host(state), float(metrics["loss"])


@pytest.mark.parametrize(("mode", "count"), WAYS[1:])
def test_devices_agree(mode: str, count: int):
    state, loss = three_steps(mode, count)
    expected, expected_loss = three_steps("jit", 1)
    chex.assert_trees_all_close(state, expected, atol=1e-5)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)


@pytest.mark.parametrize(("mode", "count"), WAYS)
def test_the_step_is_traced_once(mode: str, count: int):
    toy.TRACES.clear()
    three_steps(mode, count)
    assert len(toy.TRACES) == 1


@pytest.mark.parametrize(("mode", "count"), WAYS)
def test_predictions_come_back_in_order(mode: str, count: int):
    where = devices.choose(mode, jax.devices()[:count])
    task, batch = toy.regression(), next(toy.Numbers(0, 1))
    state = task.init(jax.random.PRNGKey(0), batch)
    outputs = devices.compile_predict(task, where)(devices.place(state, where), batch)
    np.testing.assert_allclose(outputs["y"], batch["x"] @ state.params["w"], rtol=1e-5)


def test_the_placed_state_shares_no_memory():
    where = devices.choose("jit", jax.devices()[:1])
    task, data = toy.regression(), toy.Numbers(0, 1)
    host = devices.to_host(task.init(jax.random.PRNGKey(0), next(data)))
    before = host.params["w"].copy()
    devices.compile_step(task, where)(devices.place(host, where), next(data))
    np.testing.assert_array_equal(host.params["w"], before)


def test_without_pmap_several_devices_take_shard_map(monkeypatch: pytest.MonkeyPatch):
    assert devices.choose().mode == "pmap" and devices.choose(devices=jax.devices()[:1]).mode == "jit"
    monkeypatch.delattr(jax, "pmap")
    assert devices.choose().mode == "shard_map" and devices.choose("jit").mode == "jit"


def test_a_cluster_is_found_by_itself_or_named_but_not_both(monkeypatch: pytest.MonkeyPatch):
    joined: list[tuple] = []
    monkeypatch.setattr(jax.config, "update", lambda name, value: joined.append((name, value)))
    monkeypatch.setattr(jax.distributed, "initialize", lambda *given: joined.append(given))
    with devices.cluster("", 1, 0, detect=True):
        assert len(joined) == 2
    assert joined == [("jax_cpu_collectives_implementation", "gloo"), ()]
    with pytest.raises(ValueError, match="--distributed finds the processes by itself"):
        devices.cluster("host0:1234", 2, 0, detect=True).__enter__()

    def alone(*given: object) -> None:
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", alone)
    with pytest.raises(ValueError, match=r"--distributed: neither a TPU pod .*should be defined.*give --coordinator"):
        devices.cluster("", 1, 0, detect=True).__enter__()


def test_batch_size_must_divide():
    with pytest.raises(ValueError, match="--batch_size=6 does not divide by the 4 devices"):
        devices.check_batch_size(6, devices.choose("jit"))


def test_processes_need_an_address():
    with pytest.raises(ValueError, match="--coordinator"):
        devices.cluster("", 2, 0).__enter__()


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("mode", "found"),
    [
        ("pmap", False),
        *(pytest.param(*case, marks=LONG) for case in (("jit", False), ("shard_map", False), ("shard_map", True))),
    ],
)
def test_two_processes_agree_with_one(tmp_path: Path, mode: str, found: bool):
    """Also where Slurm's variables say which processes there are."""
    port = str(20000 + os.getpid() % 20000 + (mode == "pmap"))
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "PYTHONPATH": str(ROOT)}
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_NTASKS": "2"}
    command = [sys.executable, "-m", "tests.train.two_processes", mode, "" if found else port, str(tmp_path)]
    envs = [{**env, **slurm, "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)} if found else env for i in (0, 1)]
    both = [subprocess.Popen([*command, str(i)], env=envs[i], stderr=subprocess.PIPE, text=True) for i in (0, 1)]
    errors = [p.communicate(timeout=120)[1] for p in both]
    assert [p.returncode for p in both] == [0, 0], errors
    expected, _ = three_steps("jit", 1)
    for i in (0, 1):
        saved = np.load(tmp_path / f"{i}.npz")
        np.testing.assert_allclose(saved["w"], expected.params["w"], atol=1e-5)
        np.testing.assert_allclose(saved["total"], 28.0)  # rows 0 to 7, each counted once
        assert list(saved["gathered"]) == [0, 1]
