"""The losses of the papers, as functions of logits and targets; each gives a scalar, or scalars by name."""

from jaxvision.losses.classification import cross_entropy, mixup
from jaxvision.losses.colorization import color_loss
from jaxvision.losses.contrastive import info_nce, nt_xent
from jaxvision.losses.detection import box_head_loss, mask_head_loss, rpn_loss, smooth_l1
from jaxvision.losses.gan import discriminator_loss, generator_loss, gradient_penalty
from jaxvision.losses.segmentation import pixel_cross_entropy

__all__ = [
    "box_head_loss",
    "color_loss",
    "cross_entropy",
    "discriminator_loss",
    "generator_loss",
    "gradient_penalty",
    "info_nce",
    "mask_head_loss",
    "mixup",
    "nt_xent",
    "pixel_cross_entropy",
    "rpn_loss",
    "smooth_l1",
]
