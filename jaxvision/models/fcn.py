"""FCN-32s, -16s and -8s on VGG-16 (Long, Shelhamer & Darrell 2015, "Fully convolutional networks …").

Input: images [B, H, W, 3], float, normalised, of any size.
Output, a dict of
    "logits" [B, H, W, K], float32                 class scores of every pixel
    "score_fc7" [B, h, w, K]                       scores of the last map, of stride 32
    "score_pool4", "score_pool3" [B, h, w, K]      scores of finer maps, as far as `stride` fuses them
    "conv1_1" …, "pool1" … "pool5", "fc6", "fc7"   features of the trunk, as VGG names them
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.dense_head import FullyConnectedHead
from jaxvision.models.layers import Conv, ConvTranspose, Dtype, Initializer, scaled
from jaxvision.models.vgg import VGG
from jaxvision.ops.interpolation import bilinear_init, interpolate

_COARSEST = 32  # stride of the last map
# With pad 100: rows and columns of a skip map, and of the interpolated scores, before the first that the image has.
_SKIP_OFFSETS = {16: 5, 8: 9}
_OFFSETS = {32: 19, 16: 27, 8: 31}
_SKIPS = {16: ("pool4",), 8: ("pool4", "pool3"), 32: ()}


class FCN(nn.Module):
    """VGG-16 as convolutions; the scores of its last map and of finer ones are fused and interpolated (figure 3).

    Scores start at 0 and upsampling as bilinear. A coarser network's parameters are a part of a finer one's, under the
    same names, and give the finer one the same outputs to begin with: training in stages is merging trees. Parameters
    of the trunk have VGG's names, below "trunk". ValueError: another stride, or a pad that the window does not allow.

    Example:
        >>> model, images = FCN(stride=32, pad=0, window=1), jnp.zeros((1, 32, 32, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 32, 32, 21)
    """

    num_classes: int = 21  # K
    stride: int = 8  # 32, 16 or 8: pixels a cell of the finest map that is fused
    width: float = 1.0  # fraction of the paper's channels
    # 100: pad the image as the paper does, with its offsets of crops, and zeros up to a multiple of 32 in the place of
    # Caffe's partial cells. 0: pad fc6 instead; maps then lie on each other, and small images cost much less.
    pad: int = 100
    window: int = 7  # side of fc6's kernel; odd
    hidden: int = 4096  # channels of fc6 and of fc7
    batch_norm: bool = False  # behind each convolution of the trunk
    # Factors of pool4 and pool3 before they are scored: 0.01 and 0.0001 where ImageNet's features are trained "at once"
    # (Shelhamer et al. 2017, section 4.2).
    skip_scales: tuple[float, float] = (1.0, 1.0)
    dropout: float = 0.5  # share of fc6 and of fc7 that training drops
    kernel_init: Initializer | None = None  # in the place of VGG's
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        self._check()
        height, width = x.shape[1:3]
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
        dropped = nn.Dropout(self.dropout, deterministic=not train)(
            features["fc7"]
        )  # the head returns fc7 before its dropout
        score = features["score_fc7"] = self._score(dropped, "fc7")
        stride = _COARSEST
        for name, scale in zip(_SKIPS[self.stride], self.skip_scales, strict=False):
            stride //= 2
            skip = features[f"score_{name}"] = self._score(features[name] * scale, name)
            score = self._upsample(score, name)
            score = score + _crop(skip, score.shape[1:3], _SKIP_OFFSETS[stride] if self.pad else 0)
        offset = _OFFSETS[stride] if self.pad else 0
        fine = interpolate(score.astype(jnp.float32), stride, 0 if self.pad else stride // 2)
        return {**features, "logits": _crop(fine, (height, width), offset)}

    def _check(self) -> None:
        if self.stride not in _SKIPS:
            raise ValueError(f"FCN stride {self.stride}: choose 32, 16 or 8")
        if self.pad not in (0, 100) or (self.pad and self.window != 7):
            raise ValueError(
                f"FCN pad {self.pad}, window {self.window}: choose 100 with window 7, or 0 with an odd window"
            )

    def _padded(self, x: Float[Array, "B H W 3"]) -> Float[Array, "B h w 3"]:
        """Pad by `pad` on every side (less the 1 of conv1_1), then at the far sides up to a multiple of 32."""
        near = max(self.pad - 1, 0)
        sides = [
            (near, -(near + n) % _COARSEST if not self.pad else near + -(2 * near + n) % _COARSEST)
            for n in x.shape[1:3]
        ]
        return jnp.pad(x, ((0, 0), *sides, (0, 0)))

    def _fully_connected(self, x: Float[Array, "B h w C"], train: bool) -> dict[str, Float[Array, "..."]]:
        if not self.pad:
            pads = (self.window // 2, self.window // 2)
            x = jnp.pad(x, ((0, 0), pads, pads, (0, 0)))
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

    def _upsample(self, x: Float[Array, "B h w K"], skip: str) -> Float[Array, "B H W K"]:
        up = ConvTranspose(
            self.num_classes, 4, 2, 0 if self.pad else 1, 0, False, bilinear_init, self.dtype, name=f"upscore_{skip}"
        )
        return up(x)


def _crop(x: Float[Array, "B H W C"], size: tuple[int, ...], offset: int) -> Float[Array, "B h w C"]:
    return x[:, offset : offset + size[0], offset : offset + size[1]]
