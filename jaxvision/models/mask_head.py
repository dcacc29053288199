"""Mask branch of Mask R-CNN (He, Gkioxari, Dollár & Girshick 2017, figure 4)."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import Conv, Dtype

he_fan_in = nn.initializers.he_normal()


class MaskHead(nn.Module):
    """Mask logits for each class at twice the resolution of the RoI's features: [N, P, Q, C] -> [N, 2P, 2Q, K].

    `convolutions` of 3×3 (conv1, conv2, …) come first: four on a pyramid (14×14 to 28×28), none on the map of a C4
    network's last stage (7×7 to 14×14). Then `deconv`, 2×2 of stride 2, and 1×1 `logits`.
    """

    num_classes: int
    convolutions: int = 4
    channels: int = 256
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N P Q C"]) -> Float[Array, "N S T K"]:
        for i in range(1, self.convolutions + 1):
            conv = Conv(self.channels, 3, padding=1, kernel_init=he_fan_in, dtype=self.dtype, name=f"conv{i}")
            x = nn.relu(conv(x))
        x = nn.relu(Deconv2x(self.channels, self.dtype, name="deconv")(x))
        logits = Conv(self.num_classes, 1, kernel_init=he_fan_in, dtype=self.dtype, name="logits")
        return logits(x).astype(jnp.float32)


class Deconv2x(nn.Module):
    """Transposed 2×2 convolution of stride 2: windows do not overlap, so it is one matrix product.

    The kernel is [2, 2, out, in], as linen's ConvTranspose keeps it with `transpose_kernel`.
    """

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N h w D"]:
        init = nn.initializers.variance_scaling(2.0, "fan_in", "normal", in_axis=-1, out_axis=-2, batch_axis=(0, 1))
        kernel = self.param("kernel", init, (2, 2, self.features, x.shape[-1]), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        count, height, width, _ = x.shape
        y = jnp.einsum("nhwc,uvdc->nhuwvd", x.astype(self.dtype), kernel.astype(self.dtype))
        return y.reshape(count, 2 * height, 2 * width, self.features) + bias.astype(self.dtype).reshape(1, 1, 1, -1)
