"""An encoder's own variables are found among those of its heads, and leave its statistics alone."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.tasks.encoder import encoder_variables, pool
from jaxvision.train.steps import init_state
from tests.tasks.pretext_test import Encoder


def test_the_encoder_is_found_among_heads_and_sees_in_evaluation_mode():
    encoder, images = Encoder(True), jnp.asarray(np.random.default_rng(0).normal(size=(4, 16, 16, 3)), jnp.float32)
    variables = encoder.init(jax.random.PRNGKey(0), images, train=True)
    together = {
        "params": {"encoder": variables["params"], "head": {"bias": jnp.ones(2)}},
        "batch_stats": {"encoder": variables["batch_stats"]},
        "head_only": {"head": {"mean": jnp.ones(2)}},
    }
    found = encoder_variables(init_state(jax.random.PRNGKey(0), together, {}))
    assert set(found) == {"params", "batch_stats"}
    expected = encoder.apply(variables, images, train=False)["pool"]
    np.testing.assert_array_equal(pool(encoder, found, images), expected)
    assert pool(encoder, found, images).dtype == jnp.float32
