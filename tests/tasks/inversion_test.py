"""What a generator drew is found again, and every stage comes nearer; nothing that stands still is moved."""

import dataclasses
from functools import cache

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.evals.inversion import image_psnr as decibels
from jaxvision.ops.interventions import chosen
from jaxvision.ops.psnr import psnr
from jaxvision.tasks.gan import to_pixels
from jaxvision.tasks.inversion import STAGES, Frozen, encoding, following, search
from jaxvision.train import devices
from jaxvision.train.types import Task, TrainState
from tests.tasks.training import ONE, compiles_once, goes_on_bit_for_bit

DIM, ROWS, UNITS = 6, 8, 8
STEPS = {"encoder": 80, "latent": 250, "layer": 120, "tuned": 120}


class Generator(nn.Module):
    """Images of 8 × 8 pixels from a map of 4 × 4, with batch norm."""

    @nn.compact
    def __call__(self, z, label=None, *, train, edit=None):
        x = nn.Dense(4 * 4 * UNITS, name="project")(z).reshape(-1, 4, 4, UNITS)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, name="norm")(x))
        x = maps = (edit or {}).get("layer1", lambda r: r)(x)
        x = x.repeat(2, axis=1).repeat(2, axis=2)
        return {"layer1": maps, "image": nn.tanh(nn.Conv(3, (3, 3), padding=((1, 1), (1, 1)), name="image")(x))}


class Critic(nn.Module):
    @nn.compact
    def __call__(self, image, label=None, z=None, *, train):
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Dense(12)(image)))
        return {"layer1": x, "logits": x.mean((1, 2, 3))}


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, image, *, train):
        x = nn.Dense(64)(image.reshape(len(image), -1))
        return {"z": nn.Dense(DIM)(nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)))}


NETS = Frozen(Generator(), Critic(), DIM, "layer1", ("image",))


@cache
def frozen() -> tuple:
    """Variables that are not those of `init`: batch statistics of their own, and a strong contrast."""
    z = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (64, DIM)), jnp.float32)
    generator = Generator().init(jax.random.PRNGKey(5), z, train=True)
    _, stats = Generator().apply(generator, z, train=True, mutable=["batch_stats"])
    mean = jax.tree.map(lambda x: 100 * x, stats["batch_stats"]["norm"]["mean"])
    stats = {"batch_stats": {"norm": {"mean": mean, "var": jnp.full(UNITS, 0.3)}}}
    image = Generator().apply({**generator, **stats}, z, train=False)["image"]
    return {**generator, **stats}, Critic().init(jax.random.PRNGKey(6), image, train=False)


@cache
def batch_of(rows: int = ROWS, order: tuple[int, ...] | None = None) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    smooth = rng.integers(40, 216, (rows, 2, 2, 3), np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    batch = {
        "image": smooth,
        "index": np.arange(rows, dtype=np.int32),
        "z": rng.uniform(-1, 1, (rows, DIM)).astype(np.float32),
        "generated": np.arange(rows) % 2 == 0,
        "_mask": np.ones(rows, bool),
    }
    return batch if order is None else {name: x[list(order)] for name, x in batch.items()}


@cache
def task_of(stage: str, sgd: bool = False) -> Task:
    rate = optax.cosine_decay_schedule(
        {"encoder": 0.01, "latent": 0.1, "layer": 0.05, "tuned": 0.01}[stage], STEPS[stage]
    )
    tx = optax.with_extra_args_support(optax.sgd(0.1) if sgd else optax.adam(rate))
    if stage == "encoder":
        return encoding(NETS, Encoder(), tx)
    fields = {"latent": {"restarts": 3}, "layer": {"l2": 0.01}, "tuned": {"l2": 1e-4}}[stage]
    return search(NETS, tx, stage, images=ROWS, **fields)


def start(stage: str, sgd: bool = False) -> TrainState:
    found = {name: done(name)[1]["found"] for name in STAGES[: STAGES.index(stage)]}
    state = jax.jit(task_of(stage, sgd).init)(jax.random.PRNGKey(0), batch_of())
    return following(state, *frozen(), found)


def run(stage: str, steps: int, where: devices.Devices = ONE, sgd: bool = False, batch: dict | None = None):
    state, step = devices.place(start(stage, sgd), where), devices.compile_step(task_of(stage, sgd), where)
    for _ in range(steps):
        state, metrics = step(state, batch or batch_of())
    return state, metrics


def predict(stage: str, state: TrainState, batch: dict | None = None):
    return devices.compile_predict(task_of(stage), ONE)(state, batch or batch_of())


@cache
def on_one_device(stage: str):
    return run(stage, 3, sgd=True)


@cache
def done(stage: str) -> tuple[TrainState, dict]:
    state, _ = run(stage, STEPS[stage])
    return state, predict(stage, state)


@pytest.mark.long
def test_generated_images_are_found_again_and_every_stage_comes_nearer():
    found, generated = done("tuned")[1], batch_of()["generated"]
    expected = to_pixels(Generator().apply(frozen()[0], batch_of()["z"], train=False)["image"])
    np.testing.assert_allclose(found["target"][generated], expected[generated], atol=1)
    np.testing.assert_array_equal(found["target"][~generated], batch_of()["image"][~generated])
    reached = np.array([decibels(found[name], found["target"]) for name in STAGES])
    assert reached[1, generated].min() >= 30
    assert np.all(np.diff(reached[:, ~generated].mean(axis=1)) > 0)
    lossless = 50.0  # dB: what is left is rounding, and no stage can gain on it
    assert np.all(np.diff(np.minimum(reached[:, generated].mean(axis=1), lossless)) >= 0)
    np.testing.assert_allclose(done("latent")[1]["found"]["latent"][generated], batch_of()["z"][generated], atol=0.1)


@pytest.mark.parametrize("stage", STAGES)
def test_networks_and_their_batch_statistics_stand_still(stage):
    state = done(stage)[0]
    chex.assert_trees_all_equal((state.aux["generator"], state.aux["critic"]), frozen())
    wanted = {name: done(name)[1]["found"] for name in STAGES[: STAGES.index(stage)]}
    chex.assert_trees_all_equal(jax.device_get(state.aux["found"]), wanted)


def test_a_stage_starts_where_the_one_before_ended():
    for before, stage in zip(STAGES, STAGES[1:], strict=False):
        found, ended = predict(stage, start(stage)), done(before)[1]
        np.testing.assert_allclose(found[before].astype(int), ended[before], atol=1)
        if stage != "latent":  # which has other starts too, and shows the nearest
            np.testing.assert_allclose(found[stage].astype(int), ended[before], atol=1)
    found = predict("latent", start("latent"))
    assert np.all(found["features_latent"] < found["features_encoder"] + 0.5)
    first = start("latent").params["latent"]
    np.testing.assert_array_equal(first[:, 0], done("encoder")[1]["found"]["latent"])
    assert float(jnp.abs(first[:, 1] - first[:, 2]).min(axis=1).max()) > 0


@pytest.mark.parametrize("stage", STAGES[1:])
def test_an_image_is_found_by_its_number_whatever_the_order(stage):
    order = (3, 1, 7, 0, 2, 6, 5, 4)
    one, other = run(stage, 3)[0], run(stage, 3, batch=batch_of(order=order))[0]
    chex.assert_trees_all_close(one.params, other.params, atol=1e-4)
    found, again = predict(stage, one), predict(stage, one, batch_of(order=order))
    np.testing.assert_array_equal(again[stage], found[stage][list(order)])


@pytest.mark.parametrize(("mode", "count"), [pytest.param("jit", 2, marks=pytest.mark.long), ("pmap", 4)])
@pytest.mark.parametrize("stage", STAGES)
def test_devices_agree(stage: str, mode: str, count: int):
    if stage == "encoder" and mode == "pmap":
        pytest.skip("each device has its own batch statistics of the encoder")
    where = devices.choose(mode, jax.devices()[:count])
    found, expected = run(stage, 3, where, sgd=True), on_one_device(stage)
    chex.assert_trees_all_close(devices.to_host(found), devices.to_host(expected), rtol=1e-4, atol=1e-5)
    state = devices.place(expected[0], where)
    many = devices.compile_predict(task_of(stage), where)(state, batch_of())
    chex.assert_trees_all_close(many["found"], predict(stage, expected[0])["found"], atol=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, stage: str):
    goes_on_bit_for_bit(task_of(stage), start(stage), batch_of(), tmp_path, each=2)


@pytest.mark.parametrize("stage", STAGES)
def test_compiles_once(stage):
    orders = (None, (7, 6, 5, 4, 3, 2, 1, 0), None)
    state = compiles_once(task_of(stage), start(stage), (batch_of(order=order) for order in orders))
    assert int(state.step) == 3


def test_units_of_what_was_found_can_be_edited():
    """With every unit held at 0, the image is the bias of the last layer, which was adjusted to each image."""
    state, plain = done("tuned")
    everything = np.ones((ROWS, UNITS), np.float32)
    edit = {"alpha": everything, "values": 0 * everything, "where": np.ones((ROWS, 4, 4), np.float32)}
    edited = predict("tuned", state, {**batch_of(), **edit})
    bias = frozen()[0]["params"]["image"]["bias"][None] + state.params["weights"]["image"]["bias"][:, 0]
    np.testing.assert_allclose(
        edited["tuned"][:, 3, 3], np.asarray(to_pixels(jnp.tanh(bias)[:, None, None]))[:, 0, 0], atol=1
    )
    for name in STAGES[:-1]:
        np.testing.assert_array_equal(edited[name], plain[name])
    nowhere = predict("tuned", state, {**batch_of(), **edit, "where": np.zeros((ROWS, 4, 4), np.float32)})
    np.testing.assert_array_equal(nowhere["tuned"], plain["tuned"])
    one = np.tile(chosen((0,), UNITS), (ROWS, 1))
    some = predict("tuned", state, {**batch_of(), **edit, "alpha": one})
    assert np.any(some["tuned"] != plain["tuned"]) and np.any(some["tuned"] != edited["tuned"])


def test_the_loss_of_the_first_step():
    """An image's own: pixels, maps and penalty, none of which others have a part in."""
    state = start("layer", sgd=True)
    state = state.replace(params={**state.params, "residual": state.params["residual"] + 0.5})
    _, metrics = jax.jit(task_of("layer", sgd=True).step)(state, batch_of())
    found, batch = predict("layer", state), batch_of()
    edit = {"layer1": lambda r: r + 0.5}
    image = Generator().apply(frozen()[0], state.params["latent"][:, 0], train=False, edit=edit)["image"]
    drawn = Generator().apply(frozen()[0], batch["z"], train=False)["image"]
    target = jnp.where(batch["generated"][:, None, None, None], drawn, batch["image"] / 127.5 - 1)
    pixels = jnp.square(image - target).mean((1, 2, 3))
    expected = (pixels + 0.1 * found["features_layer"]).mean() + 0.01 * 0.25
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(metrics["psnr"], psnr(pixels, peak=2.0).mean(), rtol=1e-4)


def test_what_is_refused():
    tx = optax.with_extra_args_support(optax.sgd(0.1))
    with pytest.raises(ValueError, match="restarts: 2 of stage 'layer'"):
        search(NETS, tx, "layer", images=2, restarts=2)
    wrong = search(dataclasses.replace(NETS, late=("layer7",)), tx, "tuned", images=2)
    with pytest.raises(ValueError, match="no layer7; choose among .*project"):
        jax.jit(wrong.init)(jax.random.PRNGKey(0), batch_of())
    wrong = search(dataclasses.replace(NETS, layer="layer7"), tx, "layer", images=2)
    with pytest.raises(ValueError, match="no 'layer7'; choose among .*layer1"):
        jax.jit(wrong.init)(jax.random.PRNGKey(0), batch_of())
