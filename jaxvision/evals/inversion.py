"""How near a GAN's inversion comes to an image, stage by stage, for images it drew itself and for real ones.

Outputs hold "target" uint8 [B, S, S, C] and for each stage "<stage>", images of that form, and "features_<stage>" [B];
a batch holds "generated" bool [B], true where the target was drawn by the generator, and "_mask" bool [B].
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from jaxvision.train.types import Metric, Result

ROUNDED = 1 / 12
"""The mean squared difference that rounding to whole numbers leaves: no smaller one is told from it."""
_KINDS = ("real", "generated")


def psnr(images: UInt8[np.ndarray, "B H W C"], targets: UInt8[np.ndarray, "B H W C"]) -> Float[np.ndarray, " B"]:
    """Peak signal-to-noise ratio of each image in dB, of a peak of 255; equal images have 58.9.

    Example:
        >>> image = np.zeros((1, 4, 4, 3), np.uint8)
        >>> round(float(psnr(image, image + 1)[0]), 2)
        48.13
    """
    apart = np.square(images.astype(np.float64) - targets).mean(axis=(1, 2, 3))
    return 10.0 * np.log10(255.0**2 / np.maximum(apart, ROUNDED))


def recovery(stages: Sequence[str]) -> Metric:
    """Means over images: "psnr_<stage>_<kind>" in dB and "features_<stage>_<kind>", the distance of the critic's maps
    as a share of the target's (lower is nearer); kinds are "generated" and "real", each left out where there is none.
    """

    def update(state: Float[np.ndarray, "2 T 3"], outputs: Mapping, batch: Mapping) -> Float[np.ndarray, "2 T 3"]:
        mask, kinds = np.asarray(batch["_mask"], bool), np.asarray(batch["generated"]).astype(np.int64)
        new = np.zeros_like(state)
        for i, stage in enumerate(stages):
            values = (psnr(np.asarray(outputs[stage]), np.asarray(outputs["target"])), outputs[f"features_{stage}"])
            rows = np.stack([np.ones(len(mask)), *values], axis=1)[mask]
            np.add.at(new[:, i], kinds[mask], rows)
        return state + new

    def result(state: Float[np.ndarray, "2 T 3"]) -> Result:
        found: Result = {}
        for kind, sums in zip(_KINDS, state, strict=True):
            for stage, (count, decibels, features) in zip(stages, sums, strict=True):
                if count:
                    found[f"psnr_{stage}_{kind}"] = float(decibels / count)
                    found[f"features_{stage}_{kind}"] = float(features / count)
        return found

    return Metric(lambda: np.zeros((2, len(stages), 3)), update, result)
