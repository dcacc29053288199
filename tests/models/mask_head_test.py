import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.models.mask_head import Deconv2x, MaskHead

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32))


def test_deconvolution_equals_linens():
    ours, theirs = Deconv2x(6), nn.ConvTranspose(6, (2, 2), (2, 2), padding="VALID", transpose_kernel=True)
    variables = ours.init(jax.random.PRNGKey(0), X)
    variables["params"]["bias"] = jnp.arange(6.0)
    np.testing.assert_allclose(ours.apply(variables, X), theirs.apply(variables, X), atol=1e-5)


def test_parameters_and_shapes():
    for convolutions, channels, expected in ((4, 256, 2_646_107), (0, 2048, 2048 * 1024 + 256 + 257 * 91)):
        head = MaskHead(91, convolutions)
        shapes = jax.eval_shape(head.init, jax.random.PRNGKey(0), jnp.zeros((1, 14, 14, channels)))
        assert sum(int(np.prod(s.shape)) for s in jax.tree.leaves(shapes)) == expected
    small = MaskHead(3, 2, 4)
    out = small.apply(small.init(jax.random.PRNGKey(0), X), X)
    assert out.shape == (2, 6, 8, 3)
