"""A classifier as the judge of images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.tasks import extractor
from jaxvision.train.steps import init_state


class Classifier(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return {"map": x[:, :2, :2], "logits": nn.Dense(4, dtype=jnp.bfloat16)(x.mean((1, 2)))}


def test_features_and_probabilities():
    judge = extractor.classifier(Classifier(), (10.0, 20.0, 30.0), (2.0, 2.0, 2.0), layer="map")
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3)).astype(np.float32)
    variables = judge.init(jax.random.PRNGKey(0), jnp.array(images))
    found = judge.apply(variables, jnp.array(images))
    expected = ((images - np.array([10, 20, 30])) / 2)[:, :2, :2].reshape(3, -1)
    np.testing.assert_allclose(found["features"], expected, rtol=1e-5)
    assert found["probabilities"].shape == (3, 4) and found["probabilities"].dtype == np.float32
    np.testing.assert_allclose(found["probabilities"].sum(-1), 1, rtol=1e-5)


def test_trained_variables_take_the_place_of_new_ones():
    state = init_state(jax.random.PRNGKey(0), {"params": {}}, {}, {"extractor": 1, "average": 2})
    assert extractor.judged_by(state, 5).aux == {"extractor": 5, "average": 2}
