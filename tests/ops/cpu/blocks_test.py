"""Blocks of pixels as channels."""

import jax.numpy as jnp
import numpy as np

from jaxvision.ops.cpu.blocks import from_blocks, kernel_to_blocks, to_blocks


def test_a_block_s_pixels_are_channels_in_row_order_and_come_back():
    x = jnp.arange(2 * 4 * 6 * 5).reshape(2, 4, 6, 5).astype(jnp.float32)
    blocks = to_blocks(x, (2, 3))
    assert blocks.shape == (2, 2, 2, 30)
    np.testing.assert_array_equal(blocks[1, 1, 0], x[1, 2:4, 0:3].reshape(-1))
    np.testing.assert_array_equal(from_blocks(blocks, (2, 3)), x)


def test_a_kernel_over_blocks_meets_the_same_pixels():
    rng = np.random.default_rng(0)
    patch, kernel = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in [(1, 4, 6, 2), (4, 6, 2, 3)])
    got = jnp.einsum("bijc,ijco->bo", to_blocks(patch, (2, 3)), kernel_to_blocks(kernel, (2, 3)))
    np.testing.assert_allclose(got, jnp.einsum("bijc,ijco->bo", patch, kernel), rtol=1e-5)
