"""Mask branch of Mask R-CNN (He, Gkioxari, Dollár & Girshick 2017, figure 4).

Input: features of N RoIs [N, P, Q, C], float.
Output: mask logits [N, 2P, 2Q, K], float32, one mask for each class; class 0 is the background.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import Conv, Dtype

he_fan_in = nn.initializers.he_normal()


class MaskHead(nn.Module):
    """3×3 convolutions (conv1, conv2, …), a transposed 2×2 convolution (deconv), and a 1×1 convolution (logits)."""

    num_classes: int  # K, with the background
    convolutions: int = 4  # 3×3 ones: 4 on a pyramid's 14×14 features, 0 on the 7×7 of a C4 network's last stage
    channels: int = 256  # of every layer but the last
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "N P Q C"]) -> Float[Array, "N S T K"]:
        for i in range(1, self.convolutions + 1):
            conv = Conv(self.channels, 3, padding=1, kernel_init=he_fan_in, dtype=self.dtype, name=f"conv{i}")
            x = nn.relu(conv(x))
        x = nn.relu(Deconv2x(self.channels, self.dtype, name="deconv")(x))
        logits = Conv(self.num_classes, 1, kernel_init=he_fan_in, dtype=self.dtype, name="logits")
        return logits(x).astype(jnp.float32)


class Deconv2x(nn.Module):
    """A transposed 2×2 convolution of stride 2: [N, H, W, C] -> [N, 2H, 2W, features].

    Its windows do not overlap, so it is one matrix product. The kernel is [2, 2, features, C], as linen's ConvTranspose
    keeps it with `transpose_kernel`.
    """

    features: int  # output channels
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N h w D"]:
        init = nn.initializers.variance_scaling(2.0, "fan_in", "normal", in_axis=-1, out_axis=-2, batch_axis=(0, 1))
        kernel = self.param("kernel", init, (2, 2, self.features, x.shape[-1]), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        count, height, width, _ = x.shape
        y = jnp.einsum("nhwc,uvdc->nhuwvd", x.astype(self.dtype), kernel.astype(self.dtype))
        return y.reshape(count, 2 * height, 2 * width, self.features) + bias.astype(self.dtype).reshape(1, 1, 1, -1)
