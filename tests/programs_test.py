"""The step of every experiment as a program, traced by shapes: what it computes in, what it sends, and may not do."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import launch
from jaxvision.ops.dispatch import plain_forms
from jaxvision.run.memory import inner
from jaxvision.run.program import bytes_of, collectives, operations
from tests.programs import counts
from tests.programs.traced import ROOT, Traced, steps, with_places

TRAINED = [name for name in launch.experiments() if name != "detection/selective_search"]  # which learns nothing
# One of each area in `make test`, where tracing takes a few seconds; all in `make test-long` or `make test-exhaustive`.
CHEAP = ("classification/resnet", "segmentation/sliding_window", "detection/fast_rcnn", "gan/toy", "ssl/rotation")
CHEAP_AND_LONG = [name if name in CHEAP else pytest.param(name, marks=pytest.mark.long) for name in TRAINED]
DEVICES = 2
PRODUCTS = ("dot_general", "conv_general_dilated")

# Files whose operations are a network's also where the gradient's own rule calls them and not the network.
NETWORKS = (
    "jaxvision/models/",
    *(
        f"jaxvision/ops/{name}.py"
        for name in ("convolution", "pooling", "roi", "roi_samples", "roi_pooling", "windows")
    ),
    *("jaxvision/ops/unpooling.py", "jaxvision/ops/upsampling.py"),
)
# Fixed weights, by which maps are interpolated and pixels are averaged in float32, whatever a network computes in.
EXACT = ("jaxvision/ops/interpolation.py", "jaxvision/ops/normalization.py:local_contrast_norm")
# What moves values without computing, or adds up the gradients of a value that is read twice.
MOVES = {
    *("convert_element_type", "add_any", "reshape", "squeeze", "broadcast_in_dim", "transpose", "concatenate", "slice"),
    *("dynamic_slice", "pad", "gather", "all_gather", "all_to_all", "select_n", "copy", "stop_gradient", "split"),
}
# Gathers that a method is made of, by stage; see the papers.
GATHERING = {"ssl/simclr", "ssl/moco"}


@pytest.fixture(autouse=True)
def _forget_what_was_traced() -> Iterator[None]:
    yield
    jax.clear_caches()


def is_in(places: frozenset[str], *prefixes: str) -> bool:
    return any(place.startswith(prefixes) for place in places)


def halves(values: Any) -> bool:
    return any(getattr(value.aval, "dtype", None) == jnp.bfloat16 for value in values)


def wrong_products(traced: Traced) -> list[str]:
    """Products of a network that are not bfloat16, and others that are not exact."""
    found = []
    for equation, places in with_places(traced.program.jaxpr):
        if equation.primitive.name in PRODUCTS:
            types = {str(value.aval.dtype) for value in equation.invars[:2]}
            wanted = "bfloat16" if is_in(places, *NETWORKS) and not is_in(places, *EXACT) else "float32"
            if types != {wanted}:
                ours = sorted(place for place in places if place.startswith(("jaxvision", "experiments")))
                found.append(f"{equation.primitive.name} of {types}, not {wanted}: {ours}")
    return found


def wrong_arithmetic(traced: Traced) -> list[str]:
    """What is computed in bfloat16 outside of networks, and batch statistics that are."""
    found = []
    for equation, places in with_places(traced.program.jaxpr):
        if list(inner(equation)) or not halves(equation.outvars):
            continue
        name = equation.primitive.name
        statistics = name == "reduce_sum" and is_in(places, "flax/linen/normalization.py:_compute_stats")
        if statistics or (name not in MOVES and not is_in(places, *NETWORKS)):
            ours = sorted(place for place in places if place.startswith(("jaxvision", "experiments")))
            found.append(f"{name}: {ours}")
    return found


def rows_of(traced: Traced) -> int:
    return next(iter(traced.program.batch.values())).shape[0]


def types_of(traced: Traced) -> set[str]:
    """The types of the next state, of the metrics, and of what is predicted; a GAN's prediction starts from latents, an
    inversion's from which of them are the target."""
    state, batch = traced.program.state, dict(traced.program.batch)
    latent = getattr(getattr(traced.config, "network", traced.config), "latent_dim", None)
    if latent is not None:
        batch.setdefault("z", jax.ShapeDtypeStruct((rows_of(traced), latent), jnp.float32))
        batch.setdefault("generated", jax.ShapeDtypeStruct((rows_of(traced),), jnp.bool_))
    with plain_forms():
        predicted = jax.eval_shape(traced.stage.task.predict, state, batch) if "image" in batch else {}
    made = {str(value.aval.dtype) for value in traced.program.jaxpr.outvars}
    return made | {str(leaf.dtype) for leaf in jax.tree.leaves(predicted)}


@pytest.mark.parametrize("name", CHEAP_AND_LONG)
def test_bfloat16_is_for_networks_and_gradients_are_all_that_is_sent(name: str):
    for traced in steps(name, "smoke", precision="bfloat16", devices=DEVICES):
        where = f"{name} {traced.stage.name}"
        program, state = traced.program.jaxpr, traced.program.state
        assert not (wrong := wrong_products(traced)), f"{where}\n" + "\n".join(wrong)
        assert not (wrong := wrong_arithmetic(traced)), f"{where}\n" + "\n".join(wrong)
        assert "bfloat16" not in types_of(traced), f"{where}: state, metrics and predictions are float32"
        used = operations(program)
        assert not used["callbacks"] and not used["float64"], where
        sent = collectives(program)
        image = bytes_of({key: x for key, x in traced.program.batch.items() if key == "image"}) // rows_of(traced)
        # And metrics, of which a GAN's diversity has two mean images in float32.
        most = bytes_of(state.params) + 3 * bytes_of(state.model_state) + 2 * 4 * image + 4096
        assert sent.pop("all_reduce", 0) <= most, f"{where}: more than 1.0 × the parameters is reduced"
        assert not sent or name in GATHERING, f"{where}: {sent}"


def lowers(name: str, preset: str) -> None:
    """Assert that every step becomes a program for a GPU and a TPU, without a call of the host."""
    for traced in steps(name, preset):
        for platform in ("cuda", "tpu"):
            with plain_forms():
                step = jax.jit(traced.stage.task.step, donate_argnums=0)
                program = step.trace(traced.program.state, traced.program.batch)
                text = program.lower(lowering_platforms=(platform,)).as_text()
            assert "callback" not in text and "f64" not in text, f"{name} {traced.stage.name} {platform}"
        if preset == counts.PRESET:
            assert not (more := counts.grown(name, traced)), "\n".join(more)


def test_a_step_is_a_program_for_accelerators():
    lowers("classification/resnet", "quick")


def test_what_is_slow_on_a_gpu_does_not_grow():
    (traced,) = steps("detection/mask_rcnn", counts.PRESET)
    assert not (more := counts.grown("detection/mask_rcnn", traced)), "\n".join(more)
    assert counts.counted(traced)["waits"] == 0, "the host waits for no loop"
    sample = traced.program.jaxpr.replace(eqns=traced.program.jaxpr.eqns * 2)
    (first, *_) = counts.grown("detection/mask_rcnn", traced._replace(program=traced.program._replace(jaxpr=sample)))
    assert "sorted" in first and "python -m tests.programs.counts --write detection/mask_rcnn" in first


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        *(pytest.param(name, "quick", marks=pytest.mark.long) for name in CHEAP[1:]),
        *(pytest.param(name, "quick", marks=pytest.mark.exhaustive) for name in TRAINED if name not in CHEAP),
        *(pytest.param(name, "paper", marks=pytest.mark.exhaustive) for name in TRAINED),
    ],
)
def test_every_step_is_a_program_for_accelerators(name: str, preset: str):
    lowers(name, preset)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if name in CHEAP[:1] else pytest.mark.exhaustive) for name in TRAINED],
)
def test_pmap_shard_map_and_jit_agree_on_1_2_4_and_8_devices(name: str):
    """In a process of its own, which has eight devices."""
    run = subprocess.run([sys.executable, "-m", "tests.programs.equal", name], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
