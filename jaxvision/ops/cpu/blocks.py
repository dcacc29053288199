"""Maps whose blocks of pixels are laid out as the channels of a smaller map, and back."""

from jaxtyping import Array, Float


def to_blocks(x: Float[Array, "B H W C"], size: tuple[int, int]) -> Float[Array, "B h w c"]:
    """Return a map with one pixel for each block of `size` (rows, columns), its pixels in row order as channels."""
    batch, height, width, channels = x.shape
    s, t = size
    x = x.reshape(batch, height // s, s, width // t, t * channels)
    return x.transpose(0, 1, 3, 2, 4).reshape(batch, height // s, width // t, s * t * channels)


def from_blocks(x: Float[Array, "B h w c"], size: tuple[int, int]) -> Float[Array, "B H W C"]:
    """Return the map of which `to_blocks(…, size)` is `x`."""
    batch, rows, columns, channels = x.shape
    s, t = size
    x = x.reshape(batch, rows, columns, s, t, channels // (s * t)).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, s * rows, t * columns, channels // (s * t))


def kernel_to_blocks(kernel: Float[Array, "K L C O"], size: tuple[int, int]) -> Float[Array, "k l c O"]:
    """Return the kernel that does on maps of blocks what `kernel` does on maps of pixels, block by block."""
    return to_blocks(kernel.transpose(3, 0, 1, 2), size).transpose(1, 2, 3, 0)
