"""Networks of pretext papers: sizes by hand, maps by name, and smaller steps for pieces of images."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.pretext_heads import Colorizer, ContextEncoder
from jaxvision.models.pretext_networks import AlexNetTrunk, ContextTrunk, DilatedVGG, NetworkInNetwork, StridedEncoder

KEY = jax.random.PRNGKey(0)


def outputs(net, side: int):
    return jax.eval_shape(partial(net.init_with_output, train=True), KEY, jnp.zeros((1, side, side, 3)))


def count(variables) -> int:
    return sum(int(np.prod(p.shape)) for p in jax.tree.leaves(variables["params"]))


def test_network_in_network_has_the_layers_of_gidaris():
    made, variables = outputs(NetworkInNetwork(), 32)
    one = 192 * 192
    kernels = 75 * 192 + 192 * 160 + 160 * 96 + 25 * 96 * 192 + 2 * one + 2 * (9 * one + 2 * one)
    assert count(variables) == kernels + 2 * (192 + 160 + 96 + 9 * 192)
    assert [made[f"block{i}"].shape[1:3] for i in range(1, 5)] == [(32, 32), (16, 16), (8, 8), (8, 8)]
    assert made["pool"].shape == (1, 192)


def test_alexnets_convolutions_are_caffenets_and_take_smaller_steps_on_tiles():
    made, variables = outputs(AlexNetTrunk(), 227)
    assert count(variables) == 60_965_224 - (9216 * 4096 + 4096 * 4096 + 4096 * 1000 + 4096 + 4096 + 1000)
    assert made["pool"].shape == (1, 9216) and "norm2" in made and "fc6" not in made
    tiles, _ = outputs(AlexNetTrunk(first_stride=2), 64)
    assert tiles["conv1"].shape[1:3] == (27, 27) and tiles["pool5"].shape == (1, 2, 2, 256)
    with pytest.raises(ValueError, match="image_size must be at least 67"):
        outputs(AlexNetTrunk(), 64)


def test_the_network_of_relative_patches_is_caffenets_without_groups_pooled_beyond_its_border():
    made, variables = outputs(ContextTrunk(), 96)
    sides = {name: made[name].shape[1:] for name in ("conv1", "pool1", "conv2", "pool2", "conv4", "pool5")}
    assert sides == {
        "conv1": (24, 24, 96),
        "pool1": (12, 12, 96),
        "conv2": (12, 12, 256),
        "pool2": (6, 6, 256),
        "conv4": (6, 6, 384),
        "pool5": (3, 3, 256),
    }
    kernels = 121 * 3 * 96 + 25 * 96 * 256 + 9 * (256 * 384 + 384 * 384 + 384 * 256)
    assert count(variables) == kernels + 96 + 256 + 384 + 384 + 256, "norms learn nothing"
    assert set(variables["batch_stats"]) == {"bn3", "bn4", "bn5"} and made["pool"].shape == (1, 2304)


def test_colourisations_network_sees_an_eighth_and_predicts_at_a_quarter():
    made, variables = outputs(DilatedVGG(), 64)
    assert made["layer4"].shape == (1, 8, 8, 512) and made["block2"].shape == (1, 16, 16, 128)
    assert variables["params"]["conv5_1"]["kernel"].shape == (3, 3, 512, 512)
    whole, heads = outputs(Colorizer(DilatedVGG(width=1 / 16), 313, refining=2), 64)
    assert whole["logits"].shape == (1, 16, 16, 313)
    assert {"up1", "refine1", "refine2", "colors"} <= set(heads["params"]) and "up2" not in heads["params"]


def test_the_context_encoders_vector_has_the_channels_of_the_released_code():
    made, variables = outputs(ContextEncoder(StridedEncoder(), 64, bottleneck=4000), 128)
    params = variables["params"]
    assert made["fill"].shape == (1, 64, 64, 3)
    assert params["bottleneck"]["kernel"].shape == (4, 4, 512, 4000) and "bn1" not in params["encoder"]
    assert [params[f"up{i}_bn"]["scale"].shape for i in (1, 2, 3)] == [(256,), (128,), (64,)]
    assert params["encoder"]["conv5"]["kernel"].shape == (4, 4, 256, 512) and params["across_bn"]["scale"].shape == (
        512,
    )
