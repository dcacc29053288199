"""The networks of 32 pixels that PyTorch-StudioGAN calls DCGAN ("deep_conv"), with which its table on CIFAR-10 is made.

Generator: latents z [B, Z]; output, a dict of
    "project" [B, 4, 4, C], "layer1", "layer2", "layer3"  hidden maps, each layer twice as large as the one before
    "image" [B, 32, 32, 3], float32                        in [-1, 1]
Discriminator: images [B, 32, 32, 3] in [-1, 1]; output, a dict of
    "layer1", "layer2", "layer3"                           hidden maps, each half as large as the one before
    "features" [B, F]                                      the last map, summed over its places
    "logits" [B], float32                                  positive: real
They differ from those of Radford et al. 2016: the generator ends in a 3×3 convolution, the discriminator has two
convolutions at each size and batch norm behind the first too, weights are drawn orthogonal.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxvision.models.layers import BatchNorm, Conv, ConvTranspose, Dtype, Layer, scaled
from jaxvision.ops import interventions
from jaxvision.ops.interventions import Edit

SIZE = 32  # pixels a side
_CHANNELS = (64, 128, 256)  # of the discriminator's sizes; the generator's are the same, in reverse
_LAST = 512  # channels at 4×4
_orthogonal = nn.initializers.orthogonal()
STUDIO_NORM = partial(BatchNorm, epsilon=1e-4)


class StudioGenerator(nn.Module):
    """A linear layer to 4×4, three transposed convolutions with batch norm and ReLU, and a convolution to the image.

    `edit` gives, by a map's name, a function whose result the next layer sees instead. ValueError: an unknown name.
    """

    width: float = 1.0  # fraction of the published channels
    norm: Layer = STUDIO_NORM  # normalisation behind each transposed convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(
        self,
        z: Float[Array, "B Z"],
        label: Int[Array, " B"] | None = None,
        *,
        train: bool,
        edit: Mapping[str, Edit] | None = None,
    ) -> dict[str, Float[Array, "B ..."]]:
        edit, features = interventions.checked(edit, ("project", "layer1", "layer2", "layer3", "image")), {}
        wide = scaled(_LAST, self.width)
        x = nn.Dense(16 * wide, kernel_init=_orthogonal, dtype=self.dtype, name="project")(z).reshape(-1, 4, 4, wide)
        x = features["project"] = edit["project"](x) if "project" in edit else x
        for i, channels in enumerate(reversed(_CHANNELS), start=1):
            up: Any = ConvTranspose(
                scaled(channels, self.width), 4, 2, 1, 0, kernel_init=_orthogonal, dtype=self.dtype, name=f"layer{i}"
            )
            x = nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{i}")(up(x)))
            x = features[f"layer{i}"] = edit[f"layer{i}"](x) if f"layer{i}" in edit else x
        last = Conv(3, 3, padding=1, kernel_init=_orthogonal, dtype=self.dtype, name="image")(x)
        image = jnp.tanh(last.astype(jnp.float32))
        return {**features, "image": edit["image"](image) if "image" in edit else image}


class StudioDiscriminator(nn.Module):
    """Two convolutions at each of three sizes and one at 4×4, all with batch norm and ReLU; a linear layer on the sum.

    It judges images alone. ValueError: images of another size, or a latent.
    """

    width: float = 1.0  # fraction of the published channels
    norm: Layer = STUDIO_NORM  # normalisation behind each convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "B S S c"],
        label: Int[Array, " B"] | None = None,
        z: Float[Array, "B Z"] | None = None,
        *,
        train: bool,
    ) -> dict[str, Float[Array, "B ..."]]:
        if z is not None:
            raise ValueError("StudioGAN's DCGAN judges images alone, not pairs with a latent")
        if image.shape[1:3] != (SIZE, SIZE):
            raise ValueError(f"StudioGAN's DCGAN got {image.shape[1]}x{image.shape[2]} images: give {SIZE}x{SIZE}")
        x, features = image, {}

        def layer(x: Array, channels: int, kernel: int, strides: int, name: str) -> Array:
            conv = Conv(
                scaled(channels, self.width),
                kernel,
                strides=strides,
                padding=1,
                kernel_init=_orthogonal,
                dtype=self.dtype,
                name=f"conv{name}",
            )
            return nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{name}")(conv(x)))

        for i, channels in enumerate(_CHANNELS, start=1):
            x = layer(x, channels, 3, 1, f"{i}_1")
            x = features[f"layer{i}"] = layer(x, channels, 4, 2, f"{i}_2")
        flat = layer(x, _LAST, 3, 1, "4").astype(jnp.float32).sum(axis=(1, 2))
        logits = nn.Dense(1, kernel_init=_orthogonal, dtype=self.dtype, name="score")(flat)[:, 0]
        return {**features, "features": flat, "logits": logits.astype(jnp.float32)}
