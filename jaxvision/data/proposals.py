"""Region proposals by Selective Search."""

import numpy as np
from jaxtyping import Float32

from jaxvision.data.decode import Pixels
from jaxvision.data.selective_search import STRATEGIES, search


def propose(image: Pixels, strategy: str = "fast", seed: int = 0, max_boxes: int = 2000) -> Float32[np.ndarray, "N 4"]:
    """At most `max_boxes` boxes in which an object may be, the most likely first: x0, y0, x1, y1, continuous pixels.

    `strategy` is one of `selective_search.STRATEGIES`. The same image and seed give the same boxes.
    Raises ValueError where there is no such strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy {strategy!r}: choose of {', '.join(STRATEGIES)}")
    return search(image, STRATEGIES[strategy], seed)[:max_boxes]
