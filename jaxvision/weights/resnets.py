"""Tables of torchvision's residual networks."""

from jaxvision.weights.rename import Rule
from jaxvision.weights.table import Table

TRUNK = (
    Rule("conv1", "conv1"),
    Rule("bn1", "bn1"),
    Rule("layer{i}.{j}.conv{k}", "layer{i}_{j}/conv{k}"),
    Rule("layer{i}.{j}.bn{k}", "layer{i}_{j}/bn{k}"),
    Rule("layer{i}.{j}.downsample.0", "layer{i}_{j}/shortcut/conv"),
    Rule("layer{i}.{j}.downsample.1", "layer{i}_{j}/shortcut/bn"),
)
RESNET = Table("resnet", (*TRUNK, Rule("fc", "fc", 1)), head=("fc",))
