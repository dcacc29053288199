"""Transposed convolution."""

from typing import NamedTuple

from jax import lax
from jaxtyping import Array, Float

from jaxvision.ops.dispatch import dispatch

_NHWC = ("NHWC", "HWIO", "NHWC")


class Steps(NamedTuple):
    """Where the kernels of a transposed convolution lie in its output, in pixels: static, so hashable."""

    strides: int  # from one kernel to the next
    padding: int  # cut off on every side
    output_padding: int  # as much of that is left at the bottom and the right

    def sizes(self, map_: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, int]:
        """Return height and width of the output for those of a map and a kernel."""
        height, width = (
            (n - 1) * self.strides - 2 * self.padding + k + self.output_padding
            for n, k in zip(map_, kernel, strict=True)
        )
        return height, width


def conv_transpose(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K L C O"],
    strides: int,
    padding: int = 0,
    output_padding: int = 0,
) -> Float[Array, "B h w O"]:
    """Add every value's multiple of the kernel to a larger map: the adjoint of the convolution from O channels to C.

    Where K does not divide by `strides`, output pixels are reached by kernels in unequal number, which shows as a
    checkerboard (Odena et al. 2016).

    Args:
        x: the maps.
        kernel: the kernels. torch's ConvTranspose2d has them as [C, O, K, L], not flipped either.
        strides: the distance between kernels in the output, in pixels.
        padding: pixels that are cut off on every side of the result.
        output_padding: pixels of these that are left at the bottom and the right.

    Returns:
        The larger maps; a side of n gives (n - 1)·strides - 2·padding + K + output_padding.

    Raises:
        ValueError: an `output_padding` of a stride or more, or nothing is left of the result.

    Example:
        >>> conv_transpose(jnp.ones((1, 4, 4, 8)), jnp.ones((4, 4, 8, 3)), 2, padding=1).shape
        (1, 8, 8, 3)
    """
    at = Steps(strides, padding, output_padding)
    if not 0 <= output_padding < strides:
        raise ValueError(f"conv_transpose: output_padding={output_padding} with strides={strides}, give less")
    if min(at.sizes(x.shape[1:3], kernel.shape[:2])) < 1:
        raise ValueError(f"conv_transpose: padding={padding} cuts off all that {x.shape[1:3]} give, give less")
    return dispatch(x, kernel, cpu="upsampling.transposed", gradients="upsampling.gradients", default=transposed, at=at)


def transposed(x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], at: Steps) -> Float[Array, "B h w O"]:
    """Convolve the map, zeros between its pixels, with the flipped kernel.

    Args:
        x: the maps.
        kernel: the kernels.
        at: where the kernels lie in the output.

    Returns:
        The larger maps.
    """
    pads = [(k - 1 - at.padding, k - 1 - at.padding + at.output_padding) for k in kernel.shape[:2]]
    dilation = (at.strides, at.strides)
    return lax.conv_general_dilated(x, kernel[::-1, ::-1], (1, 1), pads, lhs_dilation=dilation, dimension_numbers=_NHWC)
