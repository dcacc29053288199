"""Tables of layer names of torchvision's AlexNet, VGG and GoogLeNet."""

from collections.abc import Iterator

from jaxvision.models.vgg import NETS
from jaxvision.weights.rename import Rule
from jaxvision.weights.table import Table


def _fully_connected(layers: tuple[int, int, int], side: int) -> tuple[Rule, ...]:
    numbers = zip(("fc6", "fc7", "fc8"), layers, (side, 1, 1), strict=True)
    return tuple(Rule(f"classifier.{number}", name, side) for name, number, side in numbers)


def _vgg(net: str, batch_norm: bool) -> Iterator[Rule]:
    """Yield the rules of a VGG, whose `features` number convolutions, batch norms, ReLUs and, after a block, a pool."""
    number = 0
    for block, count in enumerate(NETS[net].convolutions, start=1):
        for i in range(1, count + 1):
            yield Rule(f"features.{number}", f"conv{block}_{i}")
            if batch_norm:
                yield Rule(f"features.{number + 1}", f"bn{block}_{i}")
            number += 3 if batch_norm else 2
        number += 1
    yield from _fully_connected((0, 3, 6), side=7)


ALEXNET = Table(
    "alexnet",
    (
        *(Rule(f"features.{number}", f"conv{i}") for i, number in enumerate((0, 3, 6, 8, 10), start=1)),
        *_fully_connected((1, 4, 6), side=6),
    ),
    head=("fc8",),
    movable=("fc6", "fc7"),
)
VGG = tuple(
    Table(f"vgg{depth}{ending}", tuple(_vgg(net, normed)), head=("fc8",), movable=("fc6", "fc7"))
    for ending, normed in (("", False), ("_bn", True))
    for depth, net in ((11, "A"), (13, "B"), (16, "D"), (19, "E"))
)

_BRANCHES = {
    "branch1": "conv1x1",
    "branch2.0": "reduce3x3",
    "branch2.1": "conv3x3",
    "branch3.0": "reduce5x5",
    "branch3.1": "conv5x5",
    "branch4.1": "pool_proj",
}
_UNITS = {
    "conv1": "conv1",
    "conv2": "conv2_reduce",
    "conv3": "conv2",
    **{f"inception{{module}}.{theirs}": f"inception_{{module}}/{ours}" for theirs, ours in _BRANCHES.items()},
    "aux1.conv": "aux_4a/conv",
    "aux2.conv": "aux_4d/conv",
}
GOOGLENET = Table(
    "googlenet",
    (
        *(Rule(f"{theirs}.{part}", f"{ours}/{part}") for theirs, ours in _UNITS.items() for part in ("conv", "bn")),
        *(
            Rule(f"{theirs}.fc{i}", f"{ours}/fc{i}", side)
            for theirs, ours in (("aux1", "aux_4a"), ("aux2", "aux_4d"))
            for i, side in ((1, 4), (2, 1))
        ),
        Rule("fc", "fc", 1),
    ),
    # The network was trained on (v - 127.5) / 127.5, to which torchvision's own converts ImageNet's normalisation back.
    mean=(127.5,) * 3,
    std=(127.5,) * 3,
    head=("fc", "aux_4a/fc2", "aux_4d/fc2"),
    optional=("aux_4a", "aux_4d"),
)
