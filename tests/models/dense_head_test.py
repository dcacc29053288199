import chex
import jax
import jax.numpy as jnp
import pytest

from jaxvision.models.dense_head import FullyConnectedHead, to_convolutions


def test_convolutions_equal_the_matrices_slid_over_the_map() -> None:
    window, head = 3, FullyConnectedHead(16, 5)
    x = jax.random.normal(jax.random.PRNGKey(1), (2, 5, 4, 6))
    params = head.init(jax.random.key(0, impl="rbg"), x[:, :window, :window], train=False)["params"]
    maps = head.clone(window=window).apply({"params": to_convolutions(params, window)}, x, train=False)["logits"]
    chex.assert_shape(maps, (2, 3, 2, 5))
    for i in range(3):
        for j in range(2):
            crop = head.apply({"params": params}, x[:, i : i + window, j : j + window], train=False)
            chex.assert_trees_all_close(maps[:, i, j], crop["logits"], atol=1e-5)


def test_conversion_keeps_what_it_does_not_know() -> None:
    params = {"conv1": {"kernel": jnp.ones((3, 3, 2, 4))}, "fc7": {"kernel": jnp.ones((4, 6)), "bias": jnp.ones(6)}}
    converted = to_convolutions(params)
    assert converted["conv1"] is params["conv1"]
    chex.assert_shape(converted["fc7"]["kernel"], (1, 1, 4, 6))
    assert converted["fc7"]["bias"] is params["fc7"]["bias"]


def test_conversion_refuses_another_window() -> None:
    with pytest.raises(ValueError, match="fc6 has 10 inputs"):
        to_convolutions({"fc6": {"kernel": jnp.zeros((10, 4)), "bias": jnp.zeros(4)}}, window=7)


@pytest.mark.parametrize("drop_inputs", [False, True])
def test_dropout_zeroes_the_input_of_the_last_layer_only_after_the_features(drop_inputs: bool) -> None:
    """Features are those before dropout; torchvision's order leaves fc7's output whole."""
    head = FullyConnectedHead(64, 5, dropout=1.0, drop_inputs=drop_inputs)
    x = jax.random.normal(jax.random.PRNGKey(1), (2, 1, 1, 8))
    features, variables = head.init_with_output(jax.random.key(0, impl="rbg"), x, train=False)
    trained = head.apply(variables, x, train=True, rngs={"dropout": jax.random.PRNGKey(2)})
    assert jnp.any(features["logits"] != 0)
    assert jnp.all(trained["logits"] == 0)
    assert bool(jnp.any(trained["fc6"] != 0)) != drop_inputs
