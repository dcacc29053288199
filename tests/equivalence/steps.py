"""Five steps of a task of ours from drawn variables, and the comparison with five steps of an independent reference.

Variables go by flat paths, ("params" or "batch_stats", layers …, leaf), in our layouts. Dropout is off on both sides,
since no two libraries draw the same units.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.train.types import Batch, Task, TrainState
from jaxvision.weights.rename import flat
from tests import drawing

STEPS = 5
GREY = (127.5, 127.5, 127.5)
SPREAD = (60.0, 60.0, 60.0)
Arrays = Mapping[tuple[str, ...], np.ndarray]


class Run(NamedTuple):
    """Our five steps."""

    states: list[TrainState]  # before the first step, and after each
    metrics: list[dict[str, float]]  # of each step

    def losses(self, name: str = "loss") -> list[float]:
        """Return one metric of all steps."""
        return [step[name] for step in self.metrics]


def variables_of(state: TrainState) -> Arrays:
    """Return parameters and batch statistics by path, those of a GAN's players below their names."""
    learned = {("params", *path): np.asarray(value) for path, value in flat(state.params).items()}
    for path, value in flat(state.model_state).items():
        learned[("batch_stats", *(name for name in path if name != "batch_stats"))] = np.asarray(value)
    return learned


def drawn(task: Task, batch: Batch, aux: Callable[[TrainState, Any], Any] = lambda state, shapes: {}) -> TrainState:
    """Draw the state before the first step by `drawing.drawn`.

    Args:
        task: the task, whose optimizer's state must begin with zeros.
        batch: what it is trained on; only shapes matter.
        aux: makes `aux` from the state without it and from the shapes of the task's own.

    Returns:
        The state, its optimizer's all zeros.
    """
    generator, key = np.random.default_rng(0), jax.random.PRNGKey(3)
    shapes = jax.eval_shape(task.init, key, batch)
    params, model_state = (
        jax.tree.map(jnp.asarray, drawing.drawn(tree, generator)) for tree in (shapes.params, shapes.model_state)
    )
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.opt_state)
    state = TrainState(jnp.zeros((), jnp.int32), params, zeros, model_state, {}, key)
    return state.replace(aux=aux(state, shapes.aux))


def damped(state: TrainState, factors: Mapping[str, float]) -> TrainState:
    """Multiply parameters by the factors of the ends of their paths, such as {"bn3/scale": 0.2}.

    Deep networks of random weights magnify rounding a thousand times in five steps; where each residual block nearly
    starts as its shortcut, they do not.
    """

    def scaled(path: tuple, value: jax.Array) -> jax.Array:
        name = "/".join(part.key for part in path)
        return value * next((factor for end, factor in factors.items() if name.endswith(end)), 1.0)

    return state.replace(params=jax.tree_util.tree_map_with_path(scaled, state.params))


def doubled(state: TrainState) -> TrainState:
    """Return the state in float64, for steps under `jax.enable_x64`."""
    return jax.tree.map(lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, state)


def five_steps(task: Task, state: TrainState, batches: Sequence[Batch]) -> Run:
    """Take a step on each batch, without dropout; where the optimizer accumulates, several steps are an update."""
    assert len(batches) % STEPS == 0
    states, metrics, step = [state], [], jax.jit(task.step)
    with nn.intercept_methods(_without_dropout):
        for batch in batches:
            state, found = step(states[-1], batch)
            states.append(state)
            metrics.append({name: float(value) for name, value in found.items()})
    return Run(states, metrics)


def _without_dropout(call: Callable[..., Any], args: tuple, kwargs: dict, context: Any) -> Any:
    return args[0] if isinstance(context.module, nn.Dropout) else call(*args, **kwargs)


def assert_losses(ours: Sequence[float], theirs: Sequence[float]) -> None:
    """Assert that the losses of all steps are equal within 1e-4, relative where they are larger than 1."""
    assert len(ours) == len(theirs) >= STEPS
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def assert_variables(run: Run, theirs: Arrays, within: float = 1e-4) -> None:
    """Assert that parameters and running statistics are where the reference's five steps led, and by the same way.

    Each array is `within` 1e-4 of its largest value. Since small steps would leave even wrong ones there, the way from
    the start may also differ by no more than a hundredth of its length.
    """
    start, ours = variables_of(run.states[0]), variables_of(run.states[-1])
    assert ours.keys() == theirs.keys()
    moves = {}
    for path, wanted in theirs.items():
        name = "/".join(path)
        found, begin = (array[path].reshape(wanted.shape).astype(np.float64) for array in (ours, start))
        scale = max(float(np.abs(wanted).max()), 1e-3)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=within * scale, err_msg=name)
        way, rounding = np.linalg.norm(wanted - begin), 1e-6 * np.linalg.norm(wanted) + 1e-7 * wanted.size**0.5
        assert np.linalg.norm(found - wanted) <= 0.01 * way + rounding, f"{name}: another way than the reference's"
        moves[name] = way / max(np.linalg.norm(begin), 1e-12)
    assert np.median([move for move in moves.values() if move]) > 3e-4, (
        "steps too small to tell a right optimizer from a wrong one"
    )


def photos(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Draw `count` images of soft blotches, uint8 [count, height, width, 3], whose maxima are not all noise."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(0, 255, (count, height // 8 + 2, width // 8 + 2, 3))
    fine = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, 4 : 4 + height, 4 : 4 + width]
    return np.clip(fine + generator.normal(0, 25, fine.shape), 0, 255).astype(np.uint8)
