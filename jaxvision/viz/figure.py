"""Figures of matplotlib, which become pixels. matplotlib is imported for the first of them: that takes a second."""

from typing import Any

import numpy as np
from jaxtyping import UInt8

_PAD = 0.1  # inches around a figure's parts


def new_figure(width: float, height: float, *, dots: int = 100, pad: float | None = _PAD) -> Any:
    """Return an empty `matplotlib.figure.Figure` on white, which belongs to no window.

    Args:
        width: inches.
        height: inches.
        dots: pixels an inch.
        pad: inches around its parts; None: what matplotlib takes.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad)
    return Figure(figsize=(width, height), dpi=dots, layout=layout, facecolor="white")


def pixels_of(figure: Any) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
