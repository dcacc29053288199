"""Distances of inverted images from their targets, by stage, for generated and for real images.

Outputs hold "target" uint8 [B, S, S, C] and for each stage "<stage>", images of that form, and "features_<stage>" [B];
a batch holds "generated" bool [B], true where the target was drawn by the generator, and "_mask" bool [B].
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from jaxvision.ops.psnr import psnr
from jaxvision.train.types import Metric, Result

ROUNDED = 1 / 12
"""Mean squared error of rounding to whole numbers; smaller errors count as this one."""
_KINDS = ("real", "generated")


def image_psnr(images: UInt8[np.ndarray, "B H W C"], targets: UInt8[np.ndarray, "B H W C"]) -> Float[np.ndarray, " B"]:
    """Return the peak signal-to-noise ratio of each image to its target in decibels; equal images have 58.9.

    Example:
        >>> image = np.zeros((1, 4, 4, 3), np.uint8)
        >>> round(float(image_psnr(image, image + 1)[0]), 2)
        48.13
    """
    return psnr(np.square(images.astype(np.float64) - targets).mean(axis=(1, 2, 3)), peak=255.0, least=ROUNDED)


def recovery(stages: Sequence[str]) -> Metric:
    """Measure, as means over images, how near each stage comes to its targets.

    The metric's keys are "psnr_<stage>_<kind>", in decibels, and "features_<stage>_<kind>", the distance of the
    discriminator's maps as a share of the target's (lower is nearer). Kinds are "generated" and "real"; one without
    images is left out.
    """

    def update(state: Float[np.ndarray, "2 T 3"], outputs: Mapping, batch: Mapping) -> Float[np.ndarray, "2 T 3"]:
        mask, kinds = np.asarray(batch["_mask"], bool), np.asarray(batch["generated"]).astype(np.int64)
        new = np.zeros_like(state)
        for i, stage in enumerate(stages):
            values = (
                image_psnr(np.asarray(outputs[stage]), np.asarray(outputs["target"])),
                outputs[f"features_{stage}"],
            )
            rows = np.stack([np.ones(len(mask)), *values], axis=1)[mask]
            np.add.at(new[:, i], kinds[mask], rows)
        return state + new

    def result(state: Float[np.ndarray, "2 T 3"]) -> Result:
        means: Result = {}
        for kind, sums in zip(_KINDS, state, strict=True):
            for stage, (count, decibels, features) in zip(stages, sums, strict=True):
                if count:
                    means[f"psnr_{stage}_{kind}"] = float(decibels / count)
                    means[f"features_{stage}_{kind}"] = float(features / count)
        return means

    return Metric(lambda: np.zeros((2, len(stages), 3)), update, result)
