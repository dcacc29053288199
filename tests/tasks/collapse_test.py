"""The alarm rings for what it should, and the window follows the metrics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.tasks import collapse
from jaxvision.train.steps import init_state

FINE = {"diversity": 0.9, "real_accuracy": 0.8, "fake_accuracy": 0.7, "gradient_generator": 0.1}


def test_diversity_is_the_distance_between_pairs():
    rng = np.random.default_rng(0)
    fake, real = rng.normal(size=(6, 2, 3)).astype(np.float32), 3 * rng.normal(size=(6, 2, 3)).astype(np.float32)
    square = [((x[:, None] - x[None]) ** 2).sum((2, 3)).mean() for x in (fake, real)]
    np.testing.assert_allclose(
        collapse.diversity(jnp.array(fake), jnp.array(real)), np.sqrt(square[0] / square[1]), rtol=1e-5
    )
    assert float(collapse.diversity(jnp.ones((6, 2, 3)), jnp.array(real))) == 0.0
    per_device = jax.pmap(lambda f, r: collapse.diversity(f, r, "d"), "d")(
        fake.reshape(2, 3, 2, 3), real.reshape(2, 3, 2, 3)
    )
    np.testing.assert_allclose(per_device, np.sqrt(square[0] / square[1]), rtol=1e-5)


def test_nothing_is_wrong_at_the_start_or_in_a_fair_game():
    assert collapse.reason(collapse.healthy(), "non_saturating") == collapse.reason(FINE, "minimax") == ""


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"diversity": 0.02}, "diversity 0.02 of the data's"),
        ({"real_accuracy": 1.0, "fake_accuracy": 0.995}, "100.0% of real and 99.5% of fake"),
        ({"gradient_generator": 1e-8}, "gradient has vanished"),
    ],
    ids=str,
)
def test_reasons(wrong: dict, words: str):
    assert words in collapse.reason({**FINE, **wrong}, "hinge")


def test_a_wasserstein_critic_may_win():
    assert collapse.reason({**FINE, "real_accuracy": 1.0, "fake_accuracy": 1.0}, "wasserstein") == ""
    assert collapse.reason({**FINE, "real_accuracy": 1.0}, "hinge") == ""


def test_the_window_forgets():
    recent, collapsed = collapse.healthy(), {name: jnp.zeros(()) for name in FINE}
    for _ in range(collapse.WINDOW):
        recent = collapse.updated(recent, {**collapsed, "loss_generator": jnp.zeros(())})
    np.testing.assert_allclose(recent["diversity"], np.exp(-1), atol=0.01)
    assert set(recent) == set(FINE)


@pytest.mark.parametrize("share", [0.01, 1.0])
def test_the_hook_logs_one_line(share: float, caplog: pytest.LogCaptureFixture):
    aux = {"recent": {**collapse.healthy(), "diversity": jnp.array(share)}}
    state = init_state(jax.random.PRNGKey(0), {"params": {}}, {}, aux).replace(step=jnp.array(70))
    hook = collapse.alarm("minimax", every=10)
    assert hook.every == 10 and hook.run(lambda *_: {}, state) == {"alarm/collapse": float(share < 0.1)}
    lines = [r.getMessage() for r in caplog.records]
    assert lines == ([] if share == 1.0 else [f"step 70: {collapse.reason(aux['recent'], 'minimax')}"])
