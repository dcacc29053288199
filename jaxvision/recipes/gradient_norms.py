"""The norm of the loss's gradient at each layer, before training and during it: how much of it reaches early layers."""

import re
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from jaxvision.recipes.comparison_table import Ran, Runs
from jaxvision.train.devices import first_batch, initial
from jaxvision.train.steps import path_name
from jaxvision.train.types import Data, Hook, Predict, PyTree, Result, Task, TrainState
from jaxvision.viz.run_curves import Curves, run_curves
from jaxvision.viz.table import table

_START, _LATER = "gradient_at_0", "gradient"  # what the names of metrics begin with, before "/<layer>"


def keeping() -> optax.GradientTransformationExtraArgs:
    """Return an optimizer that changes no parameter and keeps the gradient as its state."""
    zeros = optax.tree.zeros_like
    return optax.GradientTransformationExtraArgs(zeros, lambda grads, state, params=None, **_: (zeros(grads), grads))


def gradient_norms(task: Task, data: Data, every: int) -> tuple[Hook, Hook]:
    """Return hooks that measure the gradient of a task's loss at each layer, on the first batch of the data.

    Args:
        task: the task that is trained, made with the optimizer `keeping()`.
        data: batches of the training.
        every: training steps between two measurements.

    Returns:
        A hook of "gradient/<layer>", at these steps and at the end, and one of "gradient_at_0/<layer>", the norms
        before the first step, at the end alone. A layer is a name on the first level of the parameters.
    """
    step = jax.jit(task.step)

    def norms(name: str, state: TrainState) -> Result:
        found = layer_norms(step(state, first_batch(data))[0].opt_state)
        return {f"{name}/{layer}": norm for layer, norm in found.items()}

    def later(predict: Predict, state: TrainState) -> Result:
        here = jax.device_get(state)
        return norms(_LATER, here.replace(opt_state=here.params))

    def start(predict: Predict, state: TrainState) -> Result:
        return norms(_START, initial(task, jnp.asarray(jax.device_get(state.key)), first_batch(data)))

    return Hook("gradients", every, later), Hook("gradients_at_0", 0, start)


def layer_norms(gradient: PyTree) -> dict[str, float]:
    """Return the Euclidean norm of the gradient of each layer's kernels, from the first layer to the last.

    Auxiliary classifiers, which are beside the layers, are left out.
    """
    squares: dict[str, float] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        layer, *_, kind = path_name(path).split("/")
        if kind == "kernel" and not layer.startswith("aux"):
            squares[layer] = squares.get(layer, 0.0) + float(np.sum(np.square(np.asarray(leaf, np.float64))))
    return {layer: squares[layer] ** 0.5 for layer in sorted(squares, key=_place)}


def told_gradients(pairs: Sequence[tuple[str, str]], runs: Runs) -> Result:
    """Return a table and a figure of the gradients that the hooks of `gradient_norms` have measured.

    Args:
        pairs: variants whose ratio is told, where both were trained.
        runs: what was written of each variant.

    Returns:
        "gradients", the norms at the first layer; "gradients_figure", those at all layers; and
        "<variant>/gradient_at_0", the first layer's before the first step. {} where nothing was measured.
    """
    first = {name: _firsts(of_variant) for name, of_variant in runs.items()}
    steps = sorted(set.intersection(*map(set, first.values())))
    if not steps:
        return {}
    means = {name: {step: float(np.mean(at[step])) for step in steps} for name, at in first.items()}
    rows = {name: [_cell(at[step]) for step in steps] for name, at in first.items()}
    for one, other in pairs:
        if one in means and other in means:
            rows[f"{one} / {other}"] = [f"{means[one][step] / means[other][step]:.3g} ×" for step in steps]
    text = table(("gradient's norm at the first layer", *(f"step {step}" for step in steps)), rows)
    panels = {
        f"gradient's norm, step {step}": _profile(step, runs) for step in (steps[0], steps[len(steps) // 2], steps[-1])
    }
    metrics = {f"{name}/gradient_at_0": at[0] for name, at in means.items() if 0 in at}
    return {**metrics, "gradients": text, "gradients_figure": run_curves(panels)}


def _firsts(of_variant: Sequence[Ran]) -> dict[int, list[float]]:
    """Return the norms at the first layer in each run, by step; steps that not all runs have are left out."""
    layer = next(iter(_layers(of_variant[0])), "")
    found = [dict(ran.curve(f"{_LATER}/{layer}").tolist()) for ran in of_variant]
    for ran, at in zip(of_variant, found, strict=True):
        if not np.isnan(value := ran.value(f"{_START}/{layer}")):
            at[0] = value
    return {int(step): [at[step] for at in found] for step in set.intersection(*map(set, found))}


def _layers(ran: Ran) -> list[str]:
    names = {key.removeprefix(f"{_LATER}/") for row in ran.rows for key in row if key.startswith(f"{_LATER}/")}
    return sorted(names, key=_place)


def _profile(step: int, runs: Runs) -> Curves:
    """Return the norm at every layer at one step, over the layers' places."""
    layers = {name: _layers(of_variant[0]) for name, of_variant in runs.items()}
    same = len({tuple(of) for of in layers.values()}) == 1
    lines: Mapping[str, list[Float[np.ndarray, "n 2"]]] = {
        name: [np.array([(i, _norm(ran, layer, step)) for i, layer in enumerate(layers[name])]) for ran in of_variant]
        for name, of_variant in runs.items()
    }
    ticks = {float(i): layer for i, layer in enumerate(next(iter(layers.values())))} if same else None
    return Curves(lines, x="layer, from the first to the last", log=True, ticks=ticks)


def _norm(ran: Ran, layer: str, step: int) -> float:
    return ran.value(f"{_START}/{layer}") if step == 0 else dict(ran.curve(f"{_LATER}/{layer}").tolist())[step]


def _place(layer: str) -> tuple[bool, list[tuple[int, str]], bool]:
    """Order layers by name and number, a reduction before what it reduces for, fully connected layers last."""
    words = re.findall(r"\d+|\D+", "fc9" if layer == "fc" else layer.removesuffix("_reduce"))
    numbered = [(int(word), "") if word.isdigit() else (-1, word) for word in words]
    return layer.startswith("fc"), numbered, not layer.endswith("_reduce")


def _cell(norms: Sequence[float]) -> str:
    return f"{np.mean(norms):.3g}" + (f" ± {np.std(norms, ddof=1):.2g}" if len(norms) > 1 else "")
