"""R-CNN's networks have the outputs that SVMs and regressors are given."""

import jax
import jax.numpy as jnp
import pytest

from jaxvision.recipes.rcnn_networks import FeatureFlags, FinetuneFlags, WindowNetwork


@pytest.mark.parametrize(
    ("network", "side"), [(WindowNetwork(width=0.0625), 32), (WindowNetwork("alexnet", width=0.0625), 227)]
)
def test_a_network_without_classes_has_both_kinds_of_features(network: WindowNetwork, side: int):
    model, images = network.make(None), jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    keys = {"params": jax.random.PRNGKey(0), "dropout": jax.random.PRNGKey(1)}
    outputs, variables = jax.eval_shape(lambda x: model.init_with_output(keys, x, train=False), images)
    vector, map_ = (outputs[name] for name in network.features)
    assert vector.ndim == 2 and map_.ndim == 4
    assert "fc" not in variables["params"] and "fc8" not in variables["params"]


def test_the_defaults_are_the_papers():
    assert (FinetuneFlags().positive_iou, FinetuneFlags().positives) == (0.5, 0.25)  # section 2.3
    assert FeatureFlags().precision == "float32"
