"""Parts that SegNet and DeconvNet share: a VGG encoder that remembers its maxima, and the plan of its mirror image.

The encoder turns images [B, H, W, 3] into "pool1" … "pool5" and the places of their maxima, "indices1" … "indices5".
The decoder goes back from block 5 to block 1: it unpools to those places, then convolves as often as the encoder did.
"""

import flax.linen as nn
from jaxtyping import Array, Float, Int32

from jaxvision.models.layers import Dtype, Layer, he_normal
from jaxvision.models.vgg import CHANNELS, NETS, VGG
from jaxvision.ops.unpooling import max_unpool

DECODER_BLOCKS = (5, 4, 3, 2, 1)
"""Blocks in the order in which the decoder runs them."""


def encode(
    module: nn.Module, x: Float[Array, "B H W 3"], net: str, *, width: float, norm: Layer, dtype: Dtype, train: bool
) -> dict[str, Array]:
    """Run the convolutions of VGG with batch norm, as layers of `module` itself.

    Args:
        module: the network that is running; the encoder's variables get VGG's names in its scope.
        x: normalised images, sides of at least 32 pixels.
        net: the column of VGG's table 1; the papers have "D".
        width: fraction of VGG's channels.
        norm: normalisation layer behind each convolution.
        dtype: type that is computed in.
        train: use the batch's statistics in `norm`.

    Returns:
        VGG's features by name, with "indices1" … "indices5" for `unpool`.
    """
    encoder = VGG(
        None, net, width=width, batch_norm=True, head=False, indices=True, norm=norm, kernel_init=he_normal, dtype=dtype
    )
    nn.share_scope(module, encoder)
    return encoder(x, train=train)


def decoder_channels(block: int, net: str = "D") -> tuple[int, ...]:
    """Return the output channels, at full width, of a decoder block's convolutions in the order in which they run.

    The last one of a block leads to the channels of the block before; in block 1 there is none, so all have its own.
    """
    count = NETS[net].convolutions[block - 1]
    return (CHANNELS[block - 1],) * (count - 1) + (CHANNELS[max(block - 2, 0)],)


def unpool(x: Float[Array, "B h w C"], indices: Int32[Array, "B h w C"]) -> Float[Array, "B H W C"]:
    """Double the resolution: put each value where its 2×2 window had its maximum, and zeros everywhere else."""
    return max_unpool(x, indices, (2 * x.shape[1], 2 * x.shape[2]), window=2)
