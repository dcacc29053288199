"""From the sliding window to U-Net: networks that label every pixel, side by side at one budget.

python launch.py --experiment=segmentation/compare
python launch.py --experiment=segmentation/compare --only=sliding_window,fcn8s
python launch.py --experiment=segmentation/compare --preset=paper --data=masks:/data/camvid,ignore=11

All learn from the same crops in as many steps. Beside the usual figures there is the accuracy of pixels by their
distance to the next object: what a window that sees little loses, and where coarse maps go wrong.
"""

import dataclasses
from types import ModuleType
from typing import Any, Literal

import numpy as np

from experiments.segmentation import deconvnet, encoder_decoder, fcn, segnet, sliding_window, unet
from jaxvision.data.inputs import Inputs
from jaxvision.evals.label_distance import REACHES
from jaxvision.recipes.comparison import chosen, compare, variant, with_shared
from jaxvision.recipes.comparison_table import Comparison, Measure, Runs
from jaxvision.recipes.run_config import BudgetConfig, SplitNames
from jaxvision.recipes.segmentation import SLOWER_SEGMENTER_ADAM, SegmenterTest, SegmenterView
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment, Result
from jaxvision.viz.run_curves import over_places, run_curves
from jaxvision.viz.table import table

CELL = 32  # pixels: the side that a cell of DeconvNet's last map sees of its training crops
NETWORKS: dict[str, tuple[ModuleType, dict[str, Any]]] = {
    "sliding_window": (sliding_window, {}),
    "fcn32s": (fcn, {"network": "fcn32s"}),
    "fcn16s": (fcn, {"network": "fcn16s"}),
    "fcn8s": (fcn, {"network": "fcn8s"}),
    "encoder_decoder": (encoder_decoder, {}),
    "segnet": (segnet, {}),
    "deconvnet": (deconvnet, {}),
    "unet": (unet, {}),
}
MEASURES = (
    Measure("val/mean_iou", "mean IoU", "share"),
    Measure("val/pixel_accuracy", "pixel accuracy", "share"),
    Measure(f"val/accuracy_to_{REACHES[0]}px", "accuracy at borders", "share"),
)
_DISTANCES = {f"to {reach} px": f"val/accuracy_to_{reach}px" for reach in REACHES} | {"farther": "val/accuracy_farther"}


@dataclasses.dataclass(frozen=True)
class Config(SplitNames, BudgetConfig):
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=2048,classes=1"  # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet
    variants: tuple[str, ...] = tuple(NETWORKS)  # networks to compare
    seeds: int = 1  # trainings of each network, each with other weights and batches
    batch_size: int = 4  # images in a training step
    steps: int = 600  # training steps of each network
    recipe: Literal["quick", "smoke"] = "quick"  # preset of each network for all other settings
    width: float = 0.0  # fraction of the papers' channels; 0: each network's own in its recipe
    class_weights: Literal["none", "median_frequency", "balanced"] = "none"  # weights of the classes in the loss
    view: SegmenterView = SegmenterView((96, 96), (128, 128))
    optimizer: Optimizer = SLOWER_SEGMENTER_ADAM


PRESETS = {
    "quick": Config(),
    "paper": Config(  # of no single paper: full width, on SegNet's data
        data="masks:camvid,ignore=11",
        batch_size=12,
        steps=20_000,
        width=1.0,
        class_weights="median_frequency",
        view=SegmenterView((224, 224), (360, 480), flip=True),
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        variants=("sliding_window", "encoder_decoder"),
        steps=2,
        recipe="smoke",
        view=SegmenterView((64, 64), (64, 64)),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train every network; then compare them."""
    variants = {name: variant(of, settings(name, config), **changes) for name, (of, changes) in NETWORKS.items()}
    builds = chosen("--variants", config.variants, variants)
    comparison = Comparison(
        "Networks that label every pixel",
        "network",
        MEASURES,
        pairs=(("fcn16s", "fcn32s"), ("fcn8s", "fcn16s"), ("unet", "encoder_decoder"), ("fcn8s", "sliding_window")),
        notes=(f"{config.data}; {config.steps} steps of {config.batch_size} crops of {config.view.size}.",),
        more=by_distance,
    )
    return compare(builds, inputs, config.seeds, comparison)


def settings(name: str, config: Config) -> Any:
    """Return the settings of a network's experiment with the budget of all."""
    own = NETWORKS[name][0].PRESETS[config.recipe]
    shared = ("data", "train_split", "val_split", "batch_size", "steps", "class_weights", "view", "optimizer")
    width, test = {"width": config.width or own.width}, SegmenterTest(distances=True)
    if name == "deconvnet":  # whose last layer sees all of a crop
        crop = config.view.size
        half = (crop[0] // 2, crop[1] // 2)
        test, width = SegmenterTest("sliding", crop, half, distances=True), width | {"window": crop[0] // CELL}
    if name == "unet":
        width |= {"valid": False, "borders": False, "levels": 5}
    return with_shared(own, config, shared, **width, eval_every=config.steps, test=test)


def by_distance(runs: Runs) -> Result:
    """Return table and figure of the accuracy by the distance to the next object."""
    found = {
        name: np.array([[ran.value(key) for key in _DISTANCES.values()] for ran in of_seeds])
        for name, of_seeds in runs.items()
    }
    panel = over_places(found, tuple(_DISTANCES), "distance to the next object")
    rows = {name: [f"{value:.4f}" for value in of.mean(axis=0)] for name, of in found.items()}
    return {
        "accuracy_by_distance": table(("accuracy of pixels", *_DISTANCES), rows),
        "accuracy_by_distance_figure": run_curves({"accuracy": panel}),
    }
