"""Pictures of the images that a GAN's inversion reconstructs, stage by stage."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from jaxvision.viz.grid import grid

_SIZE = 96  # pixels: the least an image is enlarged to


def stages(
    originals: UInt8[np.ndarray, "N H W C"],
    kinds: Sequence[str],
    found: Mapping[str, UInt8[np.ndarray, "N H W C"]],
    figures: Mapping[str, Float[np.ndarray, " N"]],
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw a row for each image: the original, then its reconstruction by each method.

    Args:
        originals: the images that are inverted.
        kinds: the caption of each original.
        found: the reconstructions, by the method's name.
        figures: the PSNR of each reconstruction in dB, by the method's name; a method may be missing.
    """
    columns = {"original": originals, **found}
    rows, captions = [], []
    for row, kind in enumerate(kinds):
        rows += [images[row] for images in columns.values()]
        captions += [f"original\n{kind}", *(_caption(name, figures, row) for name in found)]
    return grid(np.stack(rows), len(columns), captions, size=_SIZE)


def _caption(name: str, figures: Mapping[str, Float[np.ndarray, " N"]], row: int) -> str:
    return f"{name}\n{figures[name][row]:.1f} dB" if name in figures else name
