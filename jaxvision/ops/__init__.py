"""Functions of arrays: boxes, RoIs, pooling and unpooling, resizing, colour, masks. They hold no parameters.

The names below can be imported from here; more are in the modules, one subject a file.
"""

from jaxvision.ops.boxes import clip as clip_boxes
from jaxvision.ops.boxes import decode as decode_boxes
from jaxvision.ops.boxes import encode as encode_boxes
from jaxvision.ops.boxes import iou as box_iou
from jaxvision.ops.interpolation import resize_bilinear
from jaxvision.ops.lab import to_lab, to_rgb
from jaxvision.ops.masks import crop as crop_masks
from jaxvision.ops.masks import paste as paste_masks
from jaxvision.ops.matching import match
from jaxvision.ops.nms import nms
from jaxvision.ops.normalization import local_response_norm
from jaxvision.ops.pooling import adaptive_avg_pool, avg_pool, max_pool
from jaxvision.ops.resample import crop_resize, gaussian_blur
from jaxvision.ops.roi import multilevel_roi_align, roi_align, roi_warp
from jaxvision.ops.roi_pooling import roi_pool
from jaxvision.ops.sampling import sample
from jaxvision.ops.unpooling import bed_of_nails, max_pool_with_indices, max_unpool, nearest_unpool
from jaxvision.ops.upsampling import conv_transpose

__all__ = [
    "adaptive_avg_pool",
    "avg_pool",
    "bed_of_nails",
    "box_iou",
    "clip_boxes",
    "conv_transpose",
    "crop_masks",
    "crop_resize",
    "decode_boxes",
    "encode_boxes",
    "gaussian_blur",
    "local_response_norm",
    "match",
    "max_pool",
    "max_pool_with_indices",
    "max_unpool",
    "multilevel_roi_align",
    "nearest_unpool",
    "nms",
    "paste_masks",
    "resize_bilinear",
    "roi_align",
    "roi_pool",
    "roi_warp",
    "sample",
    "to_lab",
    "to_rgb",
]
