"""Tables of layer names of torchvision's Faster R-CNN and Mask R-CNN on a ResNet with a feature pyramid."""

from jaxvision.weights.preprocess import Preprocess
from jaxvision.weights.rename import Rule, within
from jaxvision.weights.resnets import TRUNK
from jaxvision.weights.table import Table

# New names stand first, since export writes the first; after them those of files from before version 0.11.
_BOXES = (
    *within("backbone.body", "backbone", TRUNK),
    *(Rule(f"backbone.fpn.inner_blocks.{i}{end}", f"neck/lateral{i + 2}") for end in (".0", "") for i in range(4)),
    *(Rule(f"backbone.fpn.layer_blocks.{i}{end}", f"neck/output{i + 2}") for end in (".0", "") for i in range(4)),
    Rule("rpn.head.conv.0.0", "rpn/conv"),
    Rule("rpn.head.conv", "rpn/conv"),
    Rule("rpn.head.cls_logits", "rpn/objectness"),
    Rule("rpn.head.bbox_pred", "rpn/offsets"),
    Rule("roi_heads.box_head.fc6", "box_head/fc6", 7),
    Rule("roi_heads.box_head.fc7", "box_head/fc7", 1),
    Rule("roi_heads.box_predictor.cls_score", "box_head/predictor/cls_score", 1),
    Rule("roi_heads.box_predictor.bbox_pred", "box_head/predictor/bbox_pred", 1),
)
_MASKS = (
    *(Rule(f"roi_heads.mask_head.{i}.0", f"mask_head/conv{i + 1}") for i in range(4)),
    Rule("roi_heads.mask_head.mask_fcn{i}", "mask_head/conv{i}"),
    Rule("roi_heads.mask_predictor.conv5_mask", "mask_head/deconv"),
    Rule("roi_heads.mask_predictor.mask_fcn_logits", "mask_head/logits"),
)
_COCO = Preprocess(resize=800, longest=1333, antialias=False)

FASTER_RCNN = Table("faster_rcnn", _BOXES, _COCO, labels="coco", head=("box_head/predictor",))
MASK_RCNN = Table(
    "mask_rcnn", (*_BOXES, *_MASKS), _COCO, labels="coco", head=("box_head/predictor", "mask_head/logits")
)
