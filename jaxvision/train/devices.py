"""Where a step runs: one device, several, or several hosts. The only file that says mesh, pmap or distributed.

One device: `jit`. Several: `pmap` over the axis "data" by default; `shard_map` over the same axis, which is the same
step with the same collectives and less work for the host; or one program over a sharded batch (`jit`). The state is the
same full copy on every device in all of them, so a checkpoint fits every mode. Batch norm sees the global batch under
jit and one device's rows in the others.
"""

import contextlib
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxvision.train.peers import watched
from jaxvision.train.types import Batch, Batches, Data, Key, Metrics, Predict, PyTree, Task, TrainState

AXIS = "data"
Way = Literal["jit", "pmap", "shard_map"]
RunStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


class Devices(NamedTuple):
    """The devices that share each batch, and the way they do. `mesh` is None on a single one."""

    mode: Way
    mesh: jax.sharding.Mesh | None

    @property
    def size(self) -> int:
        """Number of devices, over all processes, that share a global batch."""
        return 1 if self.mesh is None else int(self.mesh.size)


@contextlib.contextmanager
def cluster(coordinator: str, num_processes: int, process_id: int, detect: bool = False) -> Iterator[None]:
    """Join the other processes that train together, for the `with`.

    Args:
        coordinator: HOST:PORT of process 0; "" for a single process, which joins nothing.
        num_processes: number of processes.
        process_id: number of this process, from 0.
        detect: take all three from what started the processes: a TPU pod, Slurm, Open MPI or Kubernetes.

    Raises:
        ValueError: several processes without a coordinator, both ways at once, or nothing to take them from; or one of
            the processes has ended.
    """
    if detect:
        if coordinator or num_processes > 1:
            raise ValueError("--distributed finds the processes by itself: leave --coordinator and --num_processes out")
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        try:
            jax.distributed.initialize()
        except (ValueError, RuntimeError) as error:  # of jax, where no kind of cluster is recognised
            raise ValueError(
                "--distributed: neither a TPU pod nor Slurm, Open MPI or Kubernetes has started this process "
                f"({next(iter(str(error).splitlines()), '')}); give --coordinator, --num_processes and --process_id"
            ) from None
        yield  # what started the processes ends them all when one ends
        return
    if not coordinator and num_processes > 1:
        raise ValueError("--num_processes needs --coordinator=HOST:PORT, the address of process 0")
    if not coordinator:
        yield
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")  # the default refuses several CPU hosts
    jax.distributed.initialize(coordinator, num_processes, process_id)
    with watched(process_id, num_processes, coordinator.rpartition(":")[0], _from_first):
        yield


def choose(parallel: str = "auto", devices: list[jax.Device] | None = None) -> Devices:
    """Choose how devices share a batch.

    Args:
        parallel: the value of `--parallel`; "auto" is pmap, and shard_map where jax has no pmap any more.
        devices: those that share it; None: all.

    Returns:
        The devices and the way; on a single one it is always jit.
    """
    devices = jax.devices() if devices is None else devices
    if len(devices) == 1:
        return Devices("jit", None)
    mesh = jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)
    if parallel == "auto":
        parallel = "pmap" if hasattr(jax, "pmap") else "shard_map"
    return Devices(cast(Way, parallel), mesh)


def named(devices: Devices) -> str:
    """Describe the devices on which a run's time was measured: "1 × cpu", or "8 × TPU v4, pmap"."""
    kind = jax.devices()[0].device_kind
    return f"{devices.size} × {kind}{f', {devices.mode}' if devices.size > 1 else ''}"


def initial(task: Task, key: Key, batch: Batch) -> TrainState:
    """Draw a task's initial state.

    `init` runs once, so it is compiled without optimisation: for GoogLeNet's parameters that is five times faster.

    Args:
        task: the task.
        key: the root key of every random draw.
        batch: a batch that shows the shapes of all.

    Returns:
        The state at step 0.
    """
    return jax.jit(task.init, compiler_options={"xla_backend_optimization_level": 0})(key, batch)


def place(state: TrainState, devices: Devices) -> TrainState:
    """Copy `state` to every device. Always a copy, since a compiled step reuses its argument's memory."""
    if devices.mesh is None:
        return jax.tree.map(jnp.array, state)
    return jax.device_put(jax.tree.map(np.array, state), _replicated(devices))


def to_host(tree: PyTree) -> PyTree:
    """Return a NumPy copy of a tree that is the same on every device."""
    return jax.tree.map(lambda x: np.array(x.addressable_data(0) if isinstance(x, jax.Array) else x), tree)


def compile_step(task: Task, devices: Devices) -> RunStep:
    """Compile `task.step` for this process's rows of the global batch. It donates the state."""
    if devices.mesh is None:
        return jax.jit(task.step, donate_argnums=0)
    if devices.mode == "pmap":
        run = jax.pmap(
            partial(task.step, axis_name=AXIS),
            AXIS,
            in_axes=(None, 0),
            out_axes=None,
            donate_argnums=0,
            devices=_pmap_devices(devices),
        )
        return lambda state, batch: run(state, _split(batch, devices))
    if devices.mode == "shard_map":
        step = jax.jit(_mapped(partial(task.step, axis_name=AXIS), devices, PartitionSpec()), donate_argnums=0)
    else:
        step = jax.jit(task.step, donate_argnums=0, out_shardings=_replicated(devices))
    return lambda state, batch: step(state, _shard(batch, devices))


def compile_predict(task: Task, devices: Devices) -> Predict:
    """Compile `task.predict` from this process's rows to the outputs of these rows, as NumPy arrays."""
    if devices.mesh is None:
        run = jax.jit(task.predict)
        return lambda state, batch: jax.device_get(run(state, dict(batch)))
    if devices.mode == "pmap":
        run = jax.pmap(task.predict, AXIS, in_axes=(None, 0), devices=_pmap_devices(devices))
        return lambda state, batch: jax.tree.map(_merge, run(state, _split(batch, devices)))
    rows = PartitionSpec(AXIS)
    if devices.mode == "shard_map":
        run = jax.jit(_mapped(task.predict, devices, rows))
    else:
        run = jax.jit(task.predict, out_shardings=NamedSharding(devices.mesh, rows))
    return lambda state, batch: jax.tree.map(_local_rows, run(state, _shard(batch, devices)))


def share(data: Data) -> contextlib.closing[Batches]:
    """Open this process's share of `data` for a `with`, at whose end its workers stop."""
    return contextlib.closing(data(jax.process_index(), jax.process_count()))


def first_batch(data: Data) -> Batch:
    """Return the first batch of this process's share, which shows the shapes of all."""
    with share(data) as batches:
        return next(batches)


def gather_objects(value: Any) -> list[Any]:
    """Return the picklable `value` of every process, in process order, on every process."""
    if jax.process_count() == 1:
        return [value]
    data = np.frombuffer(pickle.dumps(value), np.uint8)
    sizes = multihost_utils.process_allgather(np.array([data.size]))
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: data.size] = data
    rows = multihost_utils.process_allgather(padded)
    return [pickle.loads(row[: int(size)].tobytes()) for row, size in zip(rows, sizes.ravel(), strict=True)]


def any_process(flag: bool) -> bool:
    """Return True if `flag` is set on any process. All processes must call it."""
    return any(gather_objects(flag))


def check_batch_size(batch_size: int, devices: Devices) -> None:
    """Raise ValueError when the global batch cannot be shared out evenly."""
    if batch_size % devices.size:
        raise ValueError(f"--batch_size={batch_size} does not divide by the {devices.size} devices")


def require_one_process(asked: str) -> None:
    """Raise ValueError where several processes run what only one can; `asked` is the flag that asks for it."""
    if jax.process_count() > 1:
        raise ValueError(f"{asked} runs in one process: leave --num_processes out")


def _from_first(number: int) -> int:
    """Return the number that process 0 passes."""
    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def _replicated(devices: Devices) -> NamedSharding:
    assert devices.mesh is not None
    return NamedSharding(devices.mesh, PartitionSpec())


def _mapped(function: Callable[..., Any], devices: Devices, outputs: PartitionSpec) -> Callable[..., Any]:
    """Run a function of state and rows on each device; its outputs are equal on all, or rows."""
    # Its check of what is equal would turn the mean of gradients into a sum, see jax's documentation of `check_vma`.
    specs = (PartitionSpec(), PartitionSpec(AXIS))
    return jax.shard_map(function, mesh=devices.mesh, in_specs=specs, out_specs=outputs, check_vma=False)


def _pmap_devices(devices: Devices) -> list[jax.Device]:
    assert devices.mesh is not None
    return list(devices.mesh.devices.ravel())


def _split(batch: Batch, devices: Devices) -> Batch:
    assert devices.mesh is not None
    local = len(devices.mesh.local_devices)
    return {k: np.reshape(v, (local, -1, *np.shape(v)[1:])) for k, v in batch.items()}


def _shard(batch: Batch, devices: Devices) -> Batch:
    assert devices.mesh is not None
    rows = NamedSharding(devices.mesh, PartitionSpec(AXIS))
    return {k: jax.make_array_from_process_local_data(rows, np.asarray(v)) for k, v in batch.items()}


def _local_rows(array: jax.Array) -> np.ndarray:
    shards = sorted(array.addressable_shards, key=lambda s: s.index[0].start or 0)
    return np.concatenate([np.asarray(s.data) for s in shards])


def _merge(array: jax.Array) -> np.ndarray:
    rows = _local_rows(array)
    return rows.reshape(-1, *rows.shape[2:])
