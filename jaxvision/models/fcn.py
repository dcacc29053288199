"""FCN-32s, -16s and -8s on VGG-16 (Long, Shelhamer & Darrell 2015, "Fully convolutional networks …")."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.dense_head import FullyConnectedHead
from jaxvision.models.layers import Conv, ConvTranspose, Dtype, Initializer, scaled
from jaxvision.models.vgg import VGG
from jaxvision.ops.upsampling import bilinear_init, interpolate

_FINEST = 32  # pixels a cell of the last map
_SKIPS = {16: ("pool4",), 8: ("pool4", "pool3"), 32: ()}


class FCN(nn.Module):
    """[B, H, W, 3] -> "logits" [B, H, W, K], the scores "score_fc7", "score_pool4", …, and VGG's features.

    `stride` 32, 16 or 8: how fine the last map is that is fused before the final, fixed interpolation (figure 3).
    Scores begin at 0 and upsampling at bilinear, so a coarser network's parameters, which are a part of a finer one's
    under the same names, give the finer one the same output to begin with: training in stages is merging trees.
    `skip_scales` are what pool4 and pool3 are multiplied by: 0.01 and 0.0001 where ImageNet's features are trained
    "at once" (Shelhamer et al. 2017, section 4.2). `pad` 100 pads the image as the paper does, for images of any
    size, with its offsets of crops (where a side does not fill its cells of 32, with zeros in place of Caffe's
    partial ones); `pad` 0 pads fc6 instead, by which maps lie on each other without crops and small images cost
    much less. fc6 and fc7 have `hidden` channels. Parameters of the trunk have VGG's names, below "trunk".
    """

    num_classes: int = 21
    stride: int = 8
    width: float = 1.0
    pad: int = 100
    window: int = 7
    hidden: int = 4096
    batch_norm: bool = False
    skip_scales: tuple[float, float] = (1.0, 1.0)
    dropout: float = 0.5
    kernel_init: Initializer | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        self._check()
        size = x.shape[1:3]
        trunk = VGG(
            None,
            "D",
            self.batch_norm,
            self.width,
            head=False,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="trunk",
        )
        features = trunk(self._padded(x), train=train)
        features |= self._fully_connected(features["pool5"], train)
        dropped = nn.Dropout(self.dropout, deterministic=not train)(features["fc7"])  # the head drops what it hands on
        score = features["score_fc7"] = self._score(dropped, "fc7")
        stride = _FINEST
        for name, scale in zip(_SKIPS[self.stride], self.skip_scales, strict=False):
            stride //= 2
            skip = features[f"score_{name}"] = self._score(features[name] * scale, name)
            score = self._upsample(score, name)
            score = score + _crop(skip, score.shape[1:3], {16: 5, 8: 9}[stride] if self.pad else 0)
        offset = {32: 19, 16: 27, 8: 31}[stride] if self.pad else 0
        fine = interpolate(score.astype(jnp.float32), stride, 0 if self.pad else stride // 2)
        return {**features, "logits": fine[:, offset : offset + size[0], offset : offset + size[1]]}

    def _check(self) -> None:
        if self.stride not in _SKIPS:
            raise ValueError(f"FCN stride {self.stride}: choose 32, 16 or 8")
        if self.pad not in (0, 100) or (self.pad and self.window != 7):
            raise ValueError(
                f"FCN pad {self.pad}, window {self.window}: choose 100 with window 7, or 0 with an odd window"
            )

    def _padded(self, x: Float[Array, "B H W 3"]) -> Float[Array, "B h w 3"]:
        """`pad` on every side (one less, which conv1_1 adds) and on to a multiple of 32, where nothing is cut off."""
        near = max(self.pad - 1, 0)
        sides = [
            (near, -(near + n) % _FINEST if not self.pad else near + -(2 * near + n) % _FINEST) for n in x.shape[1:3]
        ]
        return jnp.pad(x, ((0, 0), *sides, (0, 0)))

    def _fully_connected(self, x: Float[Array, "B h w C"], train: bool) -> dict[str, Float[Array, "..."]]:
        if not self.pad:
            around = (self.window // 2, self.window // 2)
            x = jnp.pad(x, ((0, 0), around, around, (0, 0)))
        init = self.kernel_init or nn.initializers.glorot_uniform()
        head = FullyConnectedHead(
            scaled(self.hidden, self.width),
            None,
            self.window,
            self.dropout,
            kernel_init=init,
            dtype=self.dtype,
            name="head",
        )
        return head(x, train=train)

    def _score(self, x: Float[Array, "B h w C"], name: str) -> Float[Array, "B h w K"]:
        zeros = nn.initializers.zeros_init()
        return Conv(self.num_classes, 1, kernel_init=zeros, dtype=self.dtype, name=f"score_{name}")(x)

    def _upsample(self, x: Float[Array, "B h w K"], onto: str) -> Float[Array, "B H W K"]:
        up = ConvTranspose(
            self.num_classes, 4, 2, 0 if self.pad else 1, 0, False, bilinear_init, self.dtype, name=f"upscore_{onto}"
        )
        return up(x)


def _crop(x: Float[Array, "B H W C"], size: tuple[int, ...], offset: int) -> Float[Array, "B h w C"]:
    return x[:, offset : offset + size[0], offset : offset + size[1]]
