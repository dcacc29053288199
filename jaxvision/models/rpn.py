"""Region proposal network (Ren et al. 2015, section 3.1): anchors, and a small convolutional head over each map.

Input: maps, each [B, h, w, C], float, and the canvas' (height, width) in pixels.
Output: for each map an `ops.proposals.Level`, with A anchors for each cell
    logits [B, h·w·A], float32                     objectness
    offsets [B, h·w·A, 4], float32                 from the anchor to the object, as `ops.boxes.decode` takes them
    anchors [h·w·A, 4]                             boxes in pixels of the canvas
"""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxvision.models.layers import Conv, Dtype
from jaxvision.ops import anchors as anchor_ops
from jaxvision.ops.proposals import Level

Size = tuple[int, int]


class Anchors(NamedTuple):
    """Sizes and shapes of the anchors of every map."""

    # For each map the square roots of its anchors' areas, in pixels of the canvas.
    sizes: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width
    offset: float = 0.0  # of anchors' centres from the cell's corner, in cells; see `ops.anchors.grid`
    rounded: bool = False  # round base anchors to whole pixels; see `ops.anchors.base_anchors`
    legacy: bool = False  # py-faster-rcnn's anchors of these sizes; their ratios are 0.5, 1 and 2, sides whole numbers

    @property
    def per_cell(self) -> int:
        """Number of anchors of each cell; all maps have the same, since they share the head."""
        return len(self.sizes[0]) * (3 if self.legacy else len(self.ratios))

    def on(self, canvas: Size, shapes: Sequence[Size]) -> list[Float[Array, "_ 4"]]:
        """Lay the anchors over the cells of each map.

        Args:
            canvas: (height, width) in pixels.
            shapes: (rows, columns) of each map.

        Returns:
            The anchors of each map as boxes, cell by cell in row order.

        Raises:
            ValueError: sizes for another number of maps, or another number of sizes for each.
        """
        if len(shapes) != len(self.sizes):
            raise ValueError(f"anchors: sizes for {len(self.sizes)} maps, but there are {len(shapes)}")
        bases = [self._base(sizes) for sizes in self.sizes]
        if {len(base) for base in bases} != {self.per_cell}:
            raise ValueError(f"anchors: sizes {self.sizes}: give every map the same number of sizes")
        strides = anchor_ops.floor_strides(canvas, shapes)
        return [
            anchor_ops.grid(base, shape, stride, offset=self.offset)
            for base, shape, stride in zip(bases, shapes, strides, strict=True)
        ]

    def _base(self, sizes: tuple[float, ...]) -> Float[np.ndarray, "A 4"]:
        if self.legacy:
            return anchor_ops.legacy_base_anchors([size / 16 for size in sizes])
        return anchor_ops.base_anchors(sizes, self.ratios, rounded=self.rounded)


class RPN(nn.Module):
    """A 3×3 convolution, then 1×1 objectness and offsets, over every map with the same weights.

    Each anchor has one logit: the paper's softmax over two is the sigmoid of their difference.
    """

    channels: int = 256  # of the 3×3 convolution
    anchors: Anchors = Anchors()
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, "B _ _ C"]], canvas: Size) -> list[Level]:
        settings = {"kernel_init": nn.initializers.normal(0.01), "dtype": self.dtype}
        conv = Conv(self.channels, 3, padding=1, name="conv", **settings)
        objectness = Conv(self.anchors.per_cell, 1, name="objectness", **settings)
        offsets = Conv(4 * self.anchors.per_cell, 1, name="offsets", **settings)
        boxes = self.anchors.on(canvas, [(x.shape[1], x.shape[2]) for x in maps])
        levels = []
        for x, anchors in zip(maps, boxes, strict=True):
            hidden = nn.relu(conv(x))
            logits = objectness(hidden).reshape(x.shape[0], -1).astype(jnp.float32)
            deltas = offsets(hidden).reshape(x.shape[0], -1, 4).astype(jnp.float32)
            levels.append(Level(logits, deltas, anchors))
        return levels
