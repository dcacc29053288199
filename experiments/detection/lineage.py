"""R-CNN, Fast R-CNN, Faster R-CNN and YOLO on the same images, compared in tables and a figure.

python launch.py --experiment=detection/lineage  # scenes: 17 minutes, two CPU cores
python launch.py --experiment=detection/lineage --preset=photos --data=voc:/data/cells
python launch.py --experiment=detection/lineage --methods=fast_rcnn,faster_rcnn --width=0.5
python launch.py --experiment=detection/lineage --preset=ideas  # what the detectors are made of, one setting at a time

The first three have the same ResNet, YOLO has its own network. Selective Search runs once; its time and disk space are
counted for both detectors that need its proposals. A stage that writes files, such as R-CNN's features, is timed from
its last start.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, Literal

import jax

from experiments.detection import fast_rcnn, faster_rcnn, rcnn, yolo
from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import AS_DATA
from jaxvision.recipes.comparison import chosen, compare, with_shared
from jaxvision.recipes.comparison_table import Comparison, Measure, Ran, Runs
from jaxvision.recipes.detection_times import TIMED
from jaxvision.recipes.detector_config import VOC07
from jaxvision.recipes.lineage import PROPOSALS, mean, measured, summary
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags
from jaxvision.train.types import Experiment, Hook, Predict, Result, TrainState

MODULES: Mapping[str, ModuleType] = {
    "rcnn": rcnn,
    "fast_rcnn": fast_rcnn,
    "faster_rcnn": faster_rcnn,
    "yolo": yolo,
}
# Beside the detectors what they are made of: the softmax of R-CNN's fine-tuning in the place of its SVMs, on features
# that are the same where the seed is; Fast R-CNN with an RPN of k anchors a cell in the place of Selective Search.
IDEAS = ("rcnn_softmax", "rpn_k1", "rpn_k3", "rpn_k9", "rpn_k9_four_steps")
PAIRS = (
    *(("rcnn_softmax", "rcnn"), ("rpn_k9", "fast_rcnn"), ("rpn_k3", "rpn_k1"), ("rpn_k9", "rpn_k3")),
    ("rpn_k9_four_steps", "rpn_k9"),
)
_SIZES = (0.125, 0.25, 0.42)  # anchors of an RPN, as parts of the shorter side of an image


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    # Not a SplitConfig: networks are evaluated at their end, so there is no eval_every.
    data: str = "scenes:count=1024"  # scenes, voc:DIR, coco:, yolo:, labelme: or csv:DIR, tfds:NAME
    train_split: str = "train"  # split that is trained on, such as trainval or train[:90%]
    val_split: str = "val"  # split that is evaluated, such as test
    protocol: Literal["coco", "voc07_11pt", "voc10_area"] = "coco"  # how average precision is computed
    methods: tuple[str, ...] = tuple(MODULES)  # detectors, and changes of them, in the order in which they are trained
    recipe: Literal["quick", "photos", "paper", "smoke"] = "quick"  # preset of each detector for all other flags
    proposals: SelectiveSearchFlags = SelectiveSearchFlags(most=128)
    seeds: int = 1  # runs of each detector, each with other weights and batches
    depth: int = 18  # layers of the ResNet of all detectors but YOLO
    width: float = 0.25  # number of channels of that ResNet, as a fraction of the paper's
    norm: Literal["batch", "group"] = "batch"  # norm of Fast and Faster R-CNN; group: for small batches
    batch_size: int = 8  # images in a training step of Fast and Faster R-CNN
    steps: int = 0  # training steps of each network; 0: as in its recipe


PRESETS = {
    "quick": Config(),
    "ideas": Config(methods=("rcnn", "rcnn_softmax", "fast_rcnn", *IDEAS[1:])),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="voc:photos",
        recipe="photos",
        proposals=SelectiveSearchFlags(most=1000),
        width=0.5,
        norm="group",
        batch_size=4,
    ),
    "paper": Config(  # of no single paper: ResNet-50 on VOC07, with each method's own schedule
        **VOC07,
        recipe="paper",
        proposals=SelectiveSearchFlags("rcnn"),
        depth=50,
        width=1.0,
        norm="group",
        batch_size=2,
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        methods=("rcnn", "fast_rcnn"),  # which share proposals
        recipe="smoke",
        proposals=SelectiveSearchFlags(most=16),
        depth=10,
        width=0.0625,
        batch_size=4,
        steps=2,
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train one detector after the other and compare them in a last stage."""
    detectors = {name: partial(_sized, MODULES[name].build, settings(name, config)) for name in MODULES}
    detectors |= {name: partial(_sized, *_changed(name, config)) for name in IDEAS}
    builds = chosen("--methods", config.methods, detectors)
    measures = tuple(Measure(f"val/{name}", name, "average precision", form=".3f") for name in ("AP50", "AP"))
    tables = partial(_tables, inputs, _notes(config))
    comparison = Comparison("Detectors", "detector", measures, pairs=PAIRS, more=tables)
    return compare(builds, inputs, config.seeds, comparison, shared=(PROPOSALS,))


def _sized(build: Callable[[Any, Inputs], Experiment], config: Any, inputs: Inputs) -> Experiment:
    """Return a detector's experiment, which also counts the network's parameters in the end."""
    *before, last = build(config, inputs).stages
    return Experiment((*before, last._replace(hooks=(*last.hooks, Hook("size", 0, _size)))))


def settings(method: str, config: Config) -> Any:
    """Return the flags of a detector's experiment: its preset with the data and the ResNet of the comparison."""
    own = dataclasses.replace(MODULES[method].PRESETS[config.recipe], pixels=AS_DATA)  # the same for all
    if method != "yolo":
        own = _for_a_resnet(own)
    steps = config.steps or own.steps
    own = with_shared(own, config, ("data", "train_split", "val_split", "protocol"), steps=steps)
    size, norm = {"depth": config.depth, "width": config.width}, {"norm": config.norm}
    searched, batches = {"proposals": config.proposals}, {"batch_size": config.batch_size, "eval_every": steps}
    if method == "rcnn":
        network = dataclasses.replace(own.network, kind="resnet", **size)
        return dataclasses.replace(own, **searched, network=network)
    if method == "fast_rcnn":
        network = dataclasses.replace(own.network, backbone="resnet", **size, **norm)
        return dataclasses.replace(own, **searched, **batches, network=network, ranks=(0, 0))
    if method == "faster_rcnn":
        kind = "resnet_c4" if own.network.backbone == "vgg16" else own.network.backbone  # its anchors are for one map
        network = dataclasses.replace(own.network, backbone=kind, **size, **norm)
        return dataclasses.replace(own, **batches, network=network)
    # The paper's augmentation, which YOLO's preset `quick` lacks: here images are few.
    view = dataclasses.replace(own.view, jitter=0.2, saturation=1.5, exposure=1.5)
    return dataclasses.replace(own, eval_every=steps, view=view)


def _changed(name: str, config: Config) -> tuple[Callable[[Any, Inputs], Experiment], Any]:
    """Return the builder and the flags of a detector of which something is changed."""
    if name == "rcnn_softmax":
        return rcnn.build, dataclasses.replace(settings("rcnn", config), classifier="softmax")
    fast, own = settings("fast_rcnn", config), settings("faster_rcnn", config)
    sides = tuple(part * fast.view.short for part in (_SIZES[1:2] if name == "rpn_k1" else _SIZES))
    network = dataclasses.replace(
        own.network,
        backbone="resnet_fc",
        map_stride=8,
        roi=fast.network.roi,
        anchor_sizes=sides,
        anchor_ratios=(0.5, 1.0, 2.0) if name.startswith("rpn_k9") else (1.0,),
        legacy_anchors=False,
    )
    same = dataclasses.replace(own, network=network, view=fast.view, detecting=fast.detecting)
    if name != "rpn_k9_four_steps":
        return faster_rcnn.build, same
    steps = max(1, own.steps // 4)  # of each of the four
    return _in_four_steps, dataclasses.replace(same, schedule="alternating", steps=steps, eval_every=steps)


def _in_four_steps(config: faster_rcnn.Config, inputs: Inputs) -> Experiment:
    """Return alternating training, whose first stage has another name than the search that detectors share."""
    first, second, *rest = faster_rcnn.build(config, inputs).stages

    def start(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
        assert second.warm_start is not None
        return second.warm_start(state, {**done, first.name: done["rpn"]})

    return Experiment((first._replace(name="rpn"), second._replace(warm_start=start), *rest))


def _for_a_resnet(own: Any) -> Any:
    """Return the flags without what belongs to layers of AlexNet and VGG-16, with one training step an update."""
    optimizer = dataclasses.replace(own.optimizer, freeze=(), lr_scale=(), accumulate=1)
    return dataclasses.replace(own, steps=own.steps // own.optimizer.accumulate, optimizer=optimizer)


def _size(predict: Predict, state: TrainState) -> Result:
    """Return the number of a detector's parameters and the megabytes of its arrays."""
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    size = sum(leaf.nbytes for leaf in jax.tree.leaves((state.params, state.model_state)))
    return {"test/parameters": float(parameters), "test/network_megabytes": size / 1e6}


def _tables(inputs: Inputs, notes: list[str], runs: Runs) -> Result:
    """Return the tables and the figure of what was measured of each detector, the mean over the seeds."""
    return summary({name: mean(measured(ran, _files(ran, inputs)) for ran in of) for name, of in runs.items()}, notes)


def _files(ran: Ran, inputs: Inputs) -> dict[str, float]:
    """Return the megabytes of the files that the stages of a run have left."""
    return {own: inputs.megabytes(ran.stages[own]) for own in ("features", PROPOSALS) if own in ran.stages}


def _notes(config: Config) -> list[str]:
    """Return the sentence below the table that names data, flags and machine."""
    count, kind, cores = jax.local_device_count(), jax.devices()[0].device_kind, len(os.sched_getaffinity(0))
    return [
        f"{config.data}, {config.train_split} and {config.val_split}; ResNet-{config.depth} of width {config.width:g} "
        f"in all but YOLO, recipes {config.recipe}; at most {config.proposals.most} proposals of Selective Search "
        f"({config.proposals.strategy}); on {count} {kind}, {cores} CPU cores. An image in testing: the median of "
        f"{TIMED}, one at a time. Training counts no evaluation."
    ]
