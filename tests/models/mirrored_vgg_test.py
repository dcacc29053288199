"""The mirror image of VGG-16: its channels, and unpooling to where the maxima were."""

import jax.numpy as jnp
import numpy as np

from jaxvision.models.mirrored_vgg import DECODER_BLOCKS, decoder_channels, unpool
from jaxvision.ops.unpooling import max_pool_with_indices


def test_the_decoder_has_the_encoders_channels_in_reverse():
    channels = [c for block in DECODER_BLOCKS for c in decoder_channels(block)]
    assert channels == [512] * 5 + [256] * 3 + [128] * 2 + [64] * 3


def test_unpooling_doubles_the_map_and_puts_maxima_back():
    x = jnp.asarray([[1.0, 2.0, 0.0, 5.0], [4.0, 3.0, 6.0, 0.0]])[None, :, :, None]
    y, indices = max_pool_with_indices(x, 2, 2)
    np.testing.assert_array_equal(unpool(y, indices)[0, :, :, 0], [[0, 0, 0, 0], [4, 0, 6, 0]])
