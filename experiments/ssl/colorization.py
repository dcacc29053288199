"""Colourisation (Zhang, Isola & Efros 2016, arXiv:1603.08511).

python launch.py --experiment=ssl/colorization  # 2.5 from the true colour, grey is 12.0; 4 minutes beside other jobs
python launch.py --experiment=ssl/colorization --data=folder:photos --image_size=64 --crop.shorter=64,80
python launch.py --experiment=ssl/colorization --preset=paper --data=tfds:imagenet2012 --workers=8

The embedded data are digits in ink of ten hues, one for each digit: to find the hue the network must know the digit.
Data without colours are refused.
"""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Subset
from jaxvision.losses.colorization import rebalancing, soft_encode
from jaxvision.models.precision import in_precision
from jaxvision.models.pretext_heads import Colorizer
from jaxvision.ops.images import unit
from jaxvision.ops.lab import color_bins, hull_bins, to_lab
from jaxvision.recipes.backbone import Backbone
from jaxvision.recipes.pretext import IMAGENET, SMOKE, PretextConfig, PretextCrop, PretextSetup
from jaxvision.tasks.colorization import colorization, without_colors
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Batch, Experiment, PyTree
from jaxvision.viz.pretext import triples

_SAMPLE = 512  # training images whose colours are counted
_HULL = "hull"  # --bins: the paper's colours
_GREY = 2.0  # mean distance from grey, in Lab, below which an image is taken to have no colours
_FARTHEST = 130.0  # a or b of a colour, at most
_CELL = 4  # height and width in pixels of the cell that one prediction is for


@dataclasses.dataclass(frozen=True)
class Config(PretextConfig):
    """Fields are flags; `quick` is the default preset."""

    data: str = "tinted"  # where images in colours come from: tinted, folder:DIR, tfds:NAME
    steps: int = 600
    eval_every: int = 300
    bins: str = ""  # colours to choose from: "hull", the paper's 313; "", sRGB's 261; or a .npy file [Q, 2]
    refining: int = 0  # 3×3 convolutions before the colours, at a quarter of the image; the paper's network has 2
    rebalance: float = 0.5  # λ: 1 weighs all colours alike, 0 the rarest the most
    temperature: float = 0.38  # temperature of the annealed mean: towards 0 vivid and spotted, 1 is dull
    optimizer: Optimizer = Optimizer(rule="adam", lr=1e-3, weight_decay=1e-4, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 3.1
        **{**IMAGENET, "backbone": Backbone("dilated", width=1.0)},
        bins=_HULL,
        refining=2,
        image_size=256,
        batch_size=40,
        steps=450_000,
        crop=PretextCrop((256, 288), flip=True),
        optimizer=Optimizer(
            rule="adam",
            lr=3e-5,
            beta2=0.99,
            weight_decay=1e-3,
            decay_norms=True,
            schedule="step",
            milestones=(4 / 9, 5 / 6),
            factor=0.316,
        ),
    ),
    "smoke": Config(**SMOKE | {"data": "tinted:count=16"}, image_size=16, batch_size=4, crop=PretextCrop((16, 18))),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn to give grey images their colours."""
    metrics = ("ab_error", "ab_error_grey", "auc")
    bins = colors_to_choose(config.bins)
    setup = PretextSetup(inputs.source(config.data), config, inputs, _draw, metrics)
    task = colorization(
        in_precision(Colorizer(config.backbone.with_maps(), len(bins), config.refining), inputs.precision),
        config.optimizer.make(config.steps),
        mean=setup.source.mean,
        std=setup.source.std,
        bins=bins,
        weights=rebalancing(frequencies(setup, bins), jnp.asarray(bins), config.rebalance),
        temperature=config.temperature,
    )
    task = log_rate(task, config.optimizer, config.steps)
    return setup.experiment(task)


def colors_to_choose(file: str) -> Float[np.ndarray, "Q 2"]:
    """Return the colours (a, b) that the network chooses from.

    Args:
        file: what `numpy.save` has written, with a row for each colour; "" for `ops.lab.color_bins`, and "hull" for
            `ops.lab.hull_bins`.

    Raises:
        ValueError: the file is missing or empty, or holds something else.
    """
    if file in ("", _HULL):
        return hull_bins() if file else color_bins()
    try:
        bins = np.load(Path(file).expanduser(), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"--bins={file}: {error}; give a .npy file of colours (a, b)") from None
    colors = bins.ndim == 2 and bins.shape[1] == 2 and len(bins) > 0 and bins.dtype.kind in "iuf"
    if not colors or not np.abs(bins).max() <= _FARTHEST:
        raise ValueError(f"--bins={file}: an array {bins.shape}; give one [Q, 2] of colours (a, b) of CIE Lab")
    return bins.astype(np.float32)


def frequencies(setup: PretextSetup, bins: Float[np.ndarray, "Q 2"]) -> Float[Array, " Q"]:
    """Count how often the colours of each bin occur in the first training images.

    Args:
        setup: names the training images.
        bins: the colours (a, b).

    Returns:
        The counts, of which an image shares its cells out among the bins near them.

    Raises:
        ValueError: the images have no colours.
    """
    config, size = setup.config, setup.config.image_size
    known = setup.source[config.train_split]
    records = Subset(known, np.arange(min(_SAMPLE, len(known))))
    data = setup.inputs.evaluate(records, crops.center_crop(size, size), config.batch_size)
    batches = data(0, 1)  # the same in every process
    counted = (_count(batch["image"], batch["_mask"], jnp.asarray(bins)) for batch in batches)
    counts, chroma = zip(*counted, strict=True)
    if float(np.max([np.max(each) for each in chroma])) < _GREY:
        raise ValueError(
            f"--data={config.data}: the images are grey, there are no colours to learn; give coloured ones"
        )
    return sum(counts, jnp.zeros_like(counts[0]))


@jax.jit
def _count(
    images: UInt8[Array, "B S S 3"], mask: Bool[Array, " B"], bins: Float[Array, "Q 2"]
) -> tuple[Float[Array, " Q"], Float[Array, " B"]]:
    """Sum the soft codes of all cells, and measure each image's mean distance from grey; padding counts as 0."""
    colors = to_lab(unit(images))[..., 1:]
    cells = colors.reshape(len(colors), -1, 2)[:, :: _CELL * _CELL]
    codes = soft_encode(cells, bins) * mask[:, None, None]
    return codes.sum((0, 1)), jnp.sqrt(jnp.square(colors).sum(-1)).mean((1, 2)) * mask


def _draw(outputs: PyTree, batch: Batch) -> UInt8[np.ndarray, "H W 3"]:
    seen = np.asarray(jax.jit(without_colors)(batch["image"]))
    return triples(seen, outputs["colored"], batch["image"], ("seen", "coloured", "truth"))
