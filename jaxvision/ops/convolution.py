"""Convolution with the meaning of `jax.lax.conv_general_dilated`, in the form that is fastest on the platform.

Accelerators take lax's own form. On a CPU, float32 maps take the matrix products of `ops/cpu/convolution.py`.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxvision.ops import windows
from jaxvision.ops.dispatch import dispatch
from jaxvision.ops.windows import Pads

Strides = tuple[int, int]
_NHWC = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
_MANY_GROUPS = 4


def conv_general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """Return `jax.lax.conv_general_dilated` of the same arguments.

    Where a CPU form exists for them, only reverse mode differentiates the result (see `dispatch`).

    Args:
        lhs: the maps; a CPU form needs float32 [B, H, W, C].
        rhs: the kernels; a CPU form needs float32 [K, L, C / groups, O].
        window_strides: the steps of the kernel along rows and columns, in pixels.
        padding: pixels of zeros (before, after) each spatial axis, negative ones crop; a CPU form needs numbers.
        lhs_dilation: the distance between pixels of the maps; a CPU form needs 1.
        rhs_dilation: the distance between taps of the kernels; a CPU form needs 1.
        dimension_numbers: the order of axes, as lax takes it.
        feature_group_count: into how many groups the channels are cut; a CPU form needs 4 or fewer.
        batch_group_count: into how many groups the batch is cut; a CPU form needs 1.
        precision: of the products, as lax takes it; CPU forms compute in float32.
        preferred_element_type: the type of the output, as lax takes it; a CPU form needs none or float32.

    Returns:
        The output maps, [B, h, w, O] where `dimension_numbers` say so.
    """
    has_cpu_form = (
        lhs.dtype == rhs.dtype == jnp.float32
        and lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers) == _NHWC
        and all(d == 1 for d in (*(lhs_dilation or ()), *(rhs_dilation or ()), batch_group_count))
        and feature_group_count <= _MANY_GROUPS
        and preferred_element_type in (None, jnp.float32)
        and 0 not in (*lhs.shape, *rhs.shape)
    )
    if has_cpu_form and not isinstance(padding, str):
        strides, pads = tuple(window_strides), tuple((int(a), int(b)) for a, b in padding)
        if all(n + sum(p) >= k for n, p, k in zip(lhs.shape[1:3], pads, rhs.shape[:2], strict=True)):
            return dispatch(
                lhs,
                rhs,
                cpu="convolution.convolve",
                gradients="convolution.gradients",
                default=convolve,
                strides=strides,
                pads=pads,
                groups=feature_group_count,
                precision=precision,
            )
    return lax.conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        dimension_numbers,
        feature_group_count,
        batch_group_count,
        precision,
        preferred_element_type,
    )


def convolve(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K L c O"],
    strides: Strides,
    pads: Pads,
    groups: int = 1,
    precision: Any = None,
) -> Float[Array, "B h w O"]:
    """Return lax's convolution, which is handed only pads from 0 to k - 1 of a kernel k pixels wide.

    Its gradients turn those into pads of the same range. Given pads of both signs, XLA's call of Eigen reads beyond
    the map; so the map is padded or cropped by the rest beforehand.

    Args:
        x: the maps.
        kernel: the kernels; c is C / groups.
        strides: the steps of the kernel along rows and columns, in pixels.
        pads: pixels of zeros (before, after) rows and columns; negative ones crop.
        groups: into how many groups the channels are cut.
        precision: of the products, as lax takes it.

    Returns:
        The output maps.
    """
    rows, columns = (
        (min(max(a, 0), k - 1), min(max(b, 0), k - 1)) for (a, b), k in zip(pads, kernel.shape, strict=False)
    )
    if (rows, columns) != pads:
        x = windows.pad(x, (_beyond(pads[0], rows), _beyond(pads[1], columns)))
    return lax.conv_general_dilated(
        x, kernel, strides, (rows, columns), None, None, _NHWC, feature_group_count=groups, precision=precision
    )


def _beyond(pad: tuple[int, int], near: tuple[int, int]) -> tuple[int, int]:
    return pad[0] - near[0], pad[1] - near[1]
