"""What the discriminator learns in its turn, and the generator and encoder in theirs."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses.gan import discriminator_loss, generator_loss
from jaxvision.tasks.gan import gan, latents, to_unit
from jaxvision.train import devices
from tests.tasks.players import DIM, Discriminator, Encoder, Generator, adam, batch_of, predict, start, task_of
from tests.tasks.training import ONE, train

OBJECTIVES = ("minimax", "non_saturating", "least_squares", "hinge", "wasserstein")


def test_real_and_fake_rows_are_normalised_apart():
    """The first step's losses, recomputed: with batch norm over both together they would be others."""
    task, batch = task_of(norm=True, lr=1e-9), batch_of()
    state = start(task)
    after, metrics = jax.jit(task.step)(state, batch)
    variables = {n: {"params": state.params[n], **state.model_state[n]} for n in state.params}

    def apply(net, name, *inputs, stats=None):
        v = variables[name] if stats is None else {**variables[name], **stats}
        return jax.jit(partial(net.apply, train=True, mutable=["batch_stats"]))(v, *inputs)

    rows = jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(state.key, 0), i))(jnp.arange(8))
    keys = jax.vmap(lambda key: jax.random.split(key, 3))(rows)
    first, second = (latents(keys[:, i], DIM, "uniform") for i in (0, 1))
    made = [apply(Generator(True), "generator", z) for z in (first, second)]
    real, stats = apply(Discriminator(True), "discriminator", to_unit(jnp.asarray(batch["image"])))
    fake, stats = apply(Discriminator(True), "discriminator", made[0][0]["image"], stats=stats)
    judged, _ = apply(Discriminator(True), "discriminator", made[1][0]["image"], stats=stats)
    loss = discriminator_loss("non_saturating", real["logits"], fake["logits"])
    np.testing.assert_allclose(metrics["loss_discriminator"], loss, rtol=1e-4)
    np.testing.assert_allclose(metrics["loss_generator"], generator_loss("non_saturating", judged["logits"]), rtol=1e-4)
    np.testing.assert_allclose(metrics["fake_probability"], jax.nn.sigmoid(judged["logits"]).mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics["real_accuracy"], (real["logits"] > 0).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["fake_accuracy"], (fake["logits"] < 0).mean(), rtol=1e-5)
    # The generator's statistics come from its own step; the discriminator's are left as its own step left them.
    chex.assert_trees_all_close(after.model_state, {"generator": made[1][1], "discriminator": stats}, rtol=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("lone", ["discriminator", "generator"])
def test_a_network_whose_opponent_stands_still_lowers_its_loss(objective: str, lone: str):
    rates = [0.01 if name == lone else 1e-12 for name in ("generator", "discriminator")]
    task = gan(Generator(), Discriminator(), *map(adam, rates), latent_dim=DIM, objective=objective)
    state, first = jax.jit(task.step)(start(task), batch_of())
    step = devices.compile_step(task, ONE)
    for _ in range(40):
        state, last = step(state, batch_of())
    chex.assert_tree_all_finite(last)
    assert ("fake_probability" in last) == (objective in ("minimax", "non_saturating"))
    assert float(last[f"loss_{lone}"]) < float(first[f"loss_{lone}"]) - 0.1
    if lone == "discriminator":
        assert float(last["real_accuracy"] + last["fake_accuracy"]) > 1.2 or objective == "wasserstein"


@pytest.mark.parametrize("objective", ["non_saturating", "least_squares"])
def test_the_encoder_lowers_the_score_of_real_pairs(objective: str):
    nets = Generator(), Discriminator()
    rates = adam(0.01), adam(1e-12)
    task = gan(*nets, *rates, latent_dim=DIM, objective=objective, encoder=Encoder())
    before, after = predict(task, start(task)), predict(task, train(task, batch_of(), 40)[0])
    assert after["real_score"].mean() < before["real_score"].mean()
