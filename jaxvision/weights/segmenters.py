"""Table of layer names of torchvision's fully convolutional networks."""

from jaxvision.weights.preprocess import Preprocess
from jaxvision.weights.rename import Rule, within
from jaxvision.weights.resnets import TRUNK
from jaxvision.weights.table import Table

_HEAD = (Rule("0", "conv"), Rule("1", "bn"), Rule("4", "score"))
FCN = Table(
    "fcn_resnet",
    (
        *within("backbone", "backbone", TRUNK),
        *within("classifier", "head", _HEAD),
        *within("aux_classifier", "aux_head", _HEAD),
    ),
    Preprocess(resize=520),
    labels="voc",
    head=("head/score", "aux_head/score"),
    optional=("aux_head",),
)
