"""U-Net (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597).

python launch.py --experiment=segmentation/unet  # scenes: mean IoU 0.835, 4.8 minutes, two CPU cores
python launch.py --experiment=segmentation/unet --preset=paper --data=masks:/data/cells
"""

import dataclasses

from jaxvision.data.inputs import Inputs
from jaxvision.models.layers import BatchNorm
from jaxvision.models.unet import UNet, logits_side
from jaxvision.recipes.segmentation import (
    SegmenterConfig,
    SegmenterSetup,
    SegmenterTest,
    SegmenterView,
    photos,
    smoke,
)
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(SegmenterConfig):
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=16384,size=64"  # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet
    val_split: str = "val[:1024]"  # split that is evaluated, such as test
    width: float = 0.125  # fraction of the paper's channels
    levels: int = 5  # number of resolutions; 5 in the paper
    valid: bool = False  # convolutions without padding, as in the paper: predict with --test.look=sliding
    batch_norm: bool = True  # batch norm after each convolution; the paper has none
    dropout: float = 0.0  # share of the activations dropped at the lowest resolution; 0.5 in the paper
    borders: bool = False  # weigh the pixels between objects, equation 2
    steps: int = 10_500  # training steps
    eval_every: int = 3500  # training steps between evaluations


PRESETS = {
    "quick": Config(),
    "photos": photos(Config(width=0.25)),
    # Sections 2 and 3: tiles of 572 pixels, one a step, whose middle of 388 pixels lies on the image and is labelled;
    # weights of equation 2. The paper names rotations and changes of grey values, and not how large they are.
    "paper": Config(
        data="masks:cells",
        val_split="val",
        width=1.0,
        valid=True,
        batch_norm=False,
        dropout=0.5,
        borders=True,
        class_weights="balanced",
        batch_size=1,
        steps=40_000,
        eval_every=4000,
        view=SegmenterView((572, 572), (512, 512), flip=True, elastic=10.0, rotate=180.0, grey=0.2, border="mirror"),
        test=SegmenterTest("sliding", (572, 572), (388, 388)),
        optimizer=Optimizer(lr=0.001, momentum=0.99, rate_in_velocity=True),
    ),
    "smoke": dataclasses.replace(
        smoke(Config(width=0.0625, levels=3, valid=True, borders=True, class_weights="balanced")),
        view=SegmenterView((68, 68), (64, 64), elastic=2.0, rotate=180.0, grey=0.2, border="mirror"),
        test=SegmenterTest("sliding", (68, 68), (28, 28)),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train an encoder–decoder whose decoder is also given the encoder's map of every resolution."""
    source = inputs.source(config.data, "label_maps", config.pixels)
    setup = SegmenterSetup(source, config, inputs, config.borders, _labelled(config))
    norm = BatchNorm if config.batch_norm else None
    model = UNet(setup.source.num_classes, config.valid, config.levels, config.width, config.dropout, norm)
    return Experiment.single(
        setup.task(model),
        setup.train(),
        config.steps,
        setup.hooks(),
        presentation=setup.presentation(),
        best="val/mean_iou",
    )


def _labelled(config: Config) -> tuple[int, int] | None:
    """Return height and width of the middle of a training crop that the network labels; None: all of the crop."""
    sides = [logits_side(side, config.levels) for side in config.view.size] if config.valid else []
    return (sides[0], sides[1]) if len(sides) == 2 and sides[0] and sides[1] else None
