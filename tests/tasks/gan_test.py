"""Two networks learn in turns: what a step does, on any number of devices, and what samples are made of."""

from functools import cache, partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.data import mixture
from jaxvision.tasks import collapse, extractor
from jaxvision.tasks.gan import averaged, gan, latents, to_pixels, to_unit
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Task
from tests.tasks.players import DIM, Discriminator, Encoder, Generator, adam, batch_of, predict, start, task_of
from tests.tasks.training import ONE, compiles_once, goes_on_bit_for_bit, train


class Classifier(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        pool = x.mean((1, 2))
        return {"pool": pool, "logits": nn.Dense(4)(pool)}


def test_learns_a_ring_of_gaussians():
    nets = Generator(images=False, hidden=64), Discriminator(hidden=64)
    task = gan(*nets, adam(2e-3), adam(2e-3), latent_dim=8, prior="normal", average_decay=0.99)
    points = mixture.points(4, 4096, seed=0).points
    state = devices.place(start(task, {"image": points[:128]}), ONE)
    step = devices.compile_step(task, ONE)
    for i in range(800):
        state, metrics = step(state, {"image": points[np.arange(128 * i, 128 * i + 128) % 4096]})
    z = np.random.default_rng(0).standard_normal((1000, 8)).astype(np.float32)
    samples = predict(task, state, {"z": z})["samples"]
    assert samples.shape == (1000, 2) and samples.dtype == np.float32
    distance = np.linalg.norm(samples[:, None] - mixture.centers(4)[None], axis=-1)
    shares = np.bincount(distance.argmin(1)[distance.min(1) < 0.5], minlength=4) / 1000
    assert shares.min() > 0.01 and shares.sum() > 0.6
    assert 0.7 < float(metrics["diversity"]) < 1.3
    assert collapse.reason(state.aux["recent"], "non_saturating") == ""
    assert set(metrics) == {
        *("loss_discriminator", "loss_generator", "real_accuracy", "fake_accuracy"),
        *("diversity", "fake_probability", "gradient_discriminator", "gradient_generator"),
    }


# Not Adam: where a gradient is 0 but for rounding, as of a bias before batch norm, it makes a whole step of it.
SGD = Optimizer(lr=0.05).make(10)
GAMES = {
    "k=2": {"discriminator_steps": 2, "conditional": True, "sample_norm": "standing"},
    "joint": {"encoder": Encoder(), "smooth": 0.1, "prior": "normal"},
    "penalty": {"objective": "wasserstein", "penalty": 1.0, "conditional": True},
    "norm": {},
}


@cache
def game(name: str) -> Task:
    norm = name == "norm"
    return gan(Generator(norm), Discriminator(norm), SGD, SGD, latent_dim=DIM, **GAMES[name])


@cache
def on_one_device(name: str):
    return devices.to_host(train(game(name), batch_of(), 3))


@pytest.mark.parametrize(
    ("name", "mode", "count"),
    [
        *[(name, "pmap", 4) for name in ("k=2", "joint", "penalty")],
        *[pytest.param(name, "jit", 2, marks=pytest.mark.long) for name in ("k=2", "joint", "penalty")],
        ("norm", "jit", 4),  # under pmap each device has its own batch statistics
    ],
)
def test_devices_agree(name: str, mode: str, count: int):
    found = train(game(name), batch_of(), 3, devices.choose(mode, jax.devices()[:count]))
    chex.assert_trees_all_close(devices.to_host(found), on_one_device(name), rtol=1e-4, atol=1e-5)


def test_predictions_agree_on_devices():
    task, batch = task_of(norm=True, encoder=Encoder()), batch_of()
    state = devices.place(start(task), where := devices.choose("pmap", jax.devices()))
    found = devices.compile_predict(task, where)(state, batch)
    chex.assert_trees_all_close(found, predict(task, start(task)), atol=1e-5)


def test_k_steps_use_k_parts_of_the_batch():
    """With k = 2, rows 0, 2, … make the first discriminator step and rows 1, 3, … the second."""
    task, batch = task_of(discriminator_steps=2), batch_of()
    state = start(task)
    same, _ = jax.jit(task.step)(state, batch)
    order = np.array([2, 1, 0, 3, 6, 5, 4, 7])  # keeps every row in its part, but changes whose noise it meets
    swapped, _ = jax.jit(task.step)(state, {k: v[order] for k, v in batch.items()})
    chex.assert_trees_all_close(swapped.params, same.params, atol=1e-6)  # without pairs the order in a part is nothing
    other = np.array([1, 0, 2, 3, 4, 5, 6, 7])
    moved, _ = jax.jit(task.step)(state, {k: v[other] for k, v in batch.items()})
    leaves = zip(jax.tree.leaves(moved.params), jax.tree.leaves(same.params), strict=True)
    assert not all(np.allclose(a, b, atol=1e-6) for a, b in leaves)
    assert [int(optax.tree.get(same.opt_state[name], "count")) for name in ("discriminator", "generator")] == [2, 1]


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    """Both optimizers, both networks' batch statistics, the average and the recent metrics are in the state."""
    task = task_of(norm=True, discriminator_steps=2)
    goes_on_bit_for_bit(task, start(task), batch_of(), tmp_path)


def test_compiles_once():
    task, batch = task_of(norm=True, discriminator_steps=2), batch_of()
    compiles_once(task, start(task), (batch, {**batch, "image": 255 - batch["image"]}, batch))


def test_the_average_forgets_its_start_and_has_statistics_of_its_own():
    for norm in ("running", "standing"):
        task = task_of(norm=True, sample_norm=norm, average_decay=0.15)
        first = start(task)
        second, _ = jax.jit(task.step)(first, batch_of())
        third, _ = jax.jit(task.step)(second, batch_of())
        mixed = jax.tree.map(lambda a, b: 0.1 * a + 0.9 * b, first.params["generator"], second.params["generator"])
        chex.assert_trees_all_close(second.aux["average"], mixed, rtol=1e-5)  # decay 1/10
        mixed = jax.tree.map(lambda a, b: 0.15 * a + 0.85 * b, mixed, third.params["generator"])  # not 2/11
        chex.assert_trees_all_close(third.aux["average"], mixed, rtol=1e-5)
    stats = second.aux["average_state"]["batch_stats"]["BatchNorm_0"]
    rows = jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(first.key, 0), i))(jnp.arange(8))
    z = latents(jax.vmap(lambda key: jax.random.split(key, 3)[0])(rows), DIM, "uniform")
    dense = second.aux["average"]["Dense_0"]
    np.testing.assert_allclose(stats["mean"], 0.1 * (z @ dense["kernel"] + dense["bias"][None]).mean(0), atol=1e-6)


def test_samples_come_from_the_averaged_generator_and_its_statistics():
    batch = batch_of()
    for norm in ("running", "standing"):
        task = task_of(norm=True, sample_norm=norm)
        state, _ = train(task, batch, 3)
        expected = jax.jit(partial(Generator(True).apply, train=False))(averaged(state), batch["z"])["image"]
        outputs = predict(task, state)
        np.testing.assert_array_equal(outputs["samples"], to_pixels(expected))
        alone = predict(task, state, {k: v[:1] for k, v in batch.items()})
        np.testing.assert_array_equal(alone["samples"], outputs["samples"][:1])
    task = task_of(norm=True, sample_norm="batch")
    expected, _ = Generator(True).apply(averaged(state), batch["z"], train=True, mutable=["batch_stats"])
    np.testing.assert_array_equal(predict(task, state)["samples"], to_pixels(expected["image"]))


def test_predictions():
    outputs = predict(task_of(), start(task_of()))
    assert set(outputs) == {"samples", "fake_score", "real_score"}
    assert outputs["samples"].shape == (8, 4, 4, 3) and outputs["samples"].dtype == np.uint8
    assert outputs["fake_score"].shape == outputs["real_score"].shape == (8,)
    assert set(predict(task_of(), start(task_of()), {"z": batch_of()["z"]})) == {"samples", "fake_score"}


def test_the_extractor_sees_samples_as_files_would_hold_them():
    judge = extractor.classifier(Classifier(), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    task = task_of(extract=judge)
    state = start(task)
    outputs = predict(task, state)
    np.testing.assert_allclose(outputs["features"], outputs["samples"].mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(outputs["real_features"], batch_of()["image"].mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"].sum(-1), 1, rtol=1e-5)
    trained = train(task, batch_of(), 2)[0]
    chex.assert_trees_all_equal(trained.aux["extractor"], state.aux["extractor"])
    assert set(predict(task, state, {"z": batch_of()["z"]})) == {"samples", "fake_score", "features", "probabilities"}


def test_conditional_networks_learn_what_each_label_looks_like():
    batch = batch_of(9)
    batch["image"] = np.repeat(batch["label"] * 100, 48).reshape(9, 4, 4, 3).astype(np.uint8)
    task = task_of(conditional=True, objective="wasserstein", penalty=1.0, average_decay=0.95)
    state, _ = train(task, batch, 200)
    samples = predict(task, state, batch)["samples"].mean((1, 2, 3))
    for label in range(3):
        assert abs(samples[batch["label"] == label].mean() - 100 * label) < 25
    with pytest.raises(ValueError, match="conditional: the data have no labels"):
        start(task, {"image": batch["image"]})


def test_the_encoder_learns_beside_the_generator():
    task, batch = task_of(encoder=Encoder()), batch_of()
    state, metrics = train(task, batch, 2)
    assert set(state.params) == set(state.opt_state) == {"generator", "discriminator", "encoder"}
    assert {"loss_encoder", "gradient_encoder"} < set(metrics)
    assert not np.allclose(
        state.params["encoder"]["Dense_0"]["kernel"], start(task).params["encoder"]["Dense_0"]["kernel"]
    )
    outputs = predict(task, state)
    expected = Encoder().apply({"params": state.params["encoder"]}, to_unit(jnp.asarray(batch["image"])), train=False)
    np.testing.assert_allclose(outputs["latents"], expected["z"], rtol=1e-5)
    again = Generator().apply(averaged(state), expected["z"], train=False)["image"]
    np.testing.assert_allclose(outputs["reconstructions"], to_pixels(again), atol=1)


def test_pixels_survive_the_way_there_and_back():
    pixels = jnp.arange(256, dtype=jnp.uint8).reshape(1, 16, 16, 1)
    unit = to_unit(pixels)
    assert float(unit.min()) == -1 and float(unit.max()) == 1
    np.testing.assert_array_equal(to_pixels(unit), pixels)
    points = jnp.array([[3.0, -7.0]])
    assert to_unit(points) is points and to_pixels(points) is points


def test_latents_follow_their_prior():
    keys = jax.random.split(jax.random.PRNGKey(0), 2000)
    uniform, normal = latents(keys, 4, "uniform"), latents(keys, 4, "normal")
    assert uniform.shape == (2000, 4) and float(uniform.min()) >= -1 and float(uniform.max()) < 1
    np.testing.assert_allclose([uniform.var(), normal.var(), normal.mean()], [1 / 3, 1, 0], atol=0.03)
    np.testing.assert_array_equal(latents(keys[5:7], 4, "normal"), normal[5:7])


def test_what_cannot_be_played():
    with pytest.raises(ValueError, match="8 rows on a device do not divide by discriminator_steps=3"):
        train(task_of(discriminator_steps=3), batch_of(), 1)
    with pytest.raises(ValueError, match="penalty: .* without batch norm"):
        start(task_of(norm=True, penalty=10.0))
    with pytest.raises(ValueError, match="penalty: .* use it without encoder"):
        task_of(penalty=10.0, encoder=Encoder())
