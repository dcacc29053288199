"""The data and the weights that commands in the docs name, made small: real files in each layout, weights of zeros."""

import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import h5py
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxvision.data.records import Record, Source
from jaxvision.models.faster_rcnn import resnet_fpn
from jaxvision.models.resnet import ResNet
from jaxvision.models.yolo import Classifier
from jaxvision.recipes.backbone import Backbone
from jaxvision.weights import darknet, torchvision
from jaxvision.weights.imported import Imported
from jaxvision.weights.rename import flat, nested
from jaxvision.weights.state_dict import Tensors
from tests.data import coco_test, csv_boxes_test, idx_test, label_maps_test, labelme_test, sbd_test, voc_test, yolo_test
from tests.weights.hed_test import CHANNELS

NUMBER = 12  # images of a set
SIZE = (48, 40)  # width and height of a photograph


def images(folder: pathlib.Path, ending: str = ".png") -> None:
    """Plain images without labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(NUMBER):
        Image.new("RGB", SIZE, (10 * i, 90, 40)).save(folder / f"{i}{ending}")


def folder(root: pathlib.Path) -> None:
    """A folder for each class; one called photos has images alone."""
    for place in [root] if root.name == "photos" else [root / "daisy", root / "rose"]:
        images(place, ".jpg" if root.name == "photos" else ".png")


def voc(root: pathlib.Path) -> None:
    """PASCAL VOC with boxes and label maps."""
    items = [f"{i:06d}" for i in range(NUMBER)]
    for item in items:
        voc_test.write(root, item, voc_test.thing("dog", 4, 4, 30, 30), voc_test.thing("cat", 8, 9, 40, 36), size=SIZE)
    halves = " ".join(items[:8]), " ".join(items[8:])
    voc_test.lists(root, train=halves[0], val=halves[1], trainval=halves[0], test=halves[1])
    for place in ("SegmentationClass", "ImageSets/Segmentation"):
        (root / place).mkdir(parents=True, exist_ok=True)
    for item in items:
        Image.fromarray(np.full(SIZE[::-1], 1, np.uint8)).save(root / "SegmentationClass" / f"{item}.png")
    for list_of in (root / "ImageSets" / "Main").glob("*.txt"):
        (root / "ImageSets" / "Segmentation" / list_of.name).write_text(list_of.read_text())


def coco(root: pathlib.Path) -> None:
    """COCO's folders of 2017 with two of its categories, outlines included."""
    outline = {"segmentation": [[2, 1, 12, 1, 12, 8, 2, 8]]}
    categories = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
    for split, numbers in (("train2017", range(1, 9)), ("val2017", range(9, 13))):
        things = [coco_test.thing(i, 1 + 17 * (i % 2), [2, 1, 10, 7], id=i, **outline) for i in numbers]
        file = root / "annotations" / f"instances_{split}.json"
        coco_test.write(file, *things, images=tuple(numbers), categories=categories)
        for i in numbers:
            coco_test.draw(root / split / f"{i}.png")


def masks(root: pathlib.Path) -> None:
    """Label maps of three classes, with 11 for pixels that do not count."""
    for split in ("train", "val"):
        for i in range(NUMBER):
            labels = np.full(SIZE[::-1], i % 3, np.uint8)
            labels[:2] = 11
            label_maps_test.write(root / split, f"{i}", labels, colour=10 * i)


def yolo(root: pathlib.Path) -> None:
    """YOLO's text files."""
    names = tuple(f"{i}" for i in range(NUMBER))
    yolo_test.make(root, dict.fromkeys(names, "0 0.5 0.5 0.5 0.5\n2 0.4 0.4 0.3 0.3\n"), names)


def labelme(root: pathlib.Path) -> None:
    """labelme's JSON beside each image."""
    for i in range(NUMBER):
        labelme_test.draw(root / f"{i}.png")
        labelme_test.write(root / f"{i}.json", f"{i}.png", labelme_test.DOG, labelme_test.CAT)


def csv(root: pathlib.Path) -> None:
    """One table of boxes."""
    lines = "".join(f"{i}.png,1,2,9,8,{'dog' if i % 2 else 'cat'}\n" for i in range(NUMBER))
    csv_boxes_test.make(root, tuple(f"{i}.png" for i in range(NUMBER)), boxes=csv_boxes_test.HEAD + lines)


def idx(root: pathlib.Path) -> None:
    """MNIST's files, of as many images as a hundredth of the labels is taken from."""
    images = np.zeros((2000, 28, 28), np.uint8)
    labels = (np.arange(2000) % 10).astype(np.uint8)
    root.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        for kind, number, values in (("images", 3, images), ("labels", 1, labels)):
            (root / f"{prefix}-{kind}-idx{number}-ubyte").write_bytes(idx_test.pack(values))


def sbd(root: pathlib.Path) -> None:
    """SBD's archive."""
    sbd_test.write_sbd(root.parent if root.name == "benchmark_RELEASE" else root)


MAKERS: Mapping[str, Callable[[pathlib.Path], None]] = {
    "folder": folder, "voc": voc, "coco": coco, "masks": masks, "yolo": yolo, "labelme": labelme, "csv": csv,
    "idx": idx, "sbd": sbd,
}  # fmt: skip


def make(spec: str) -> None:
    """Write the sets that a --data names below the working directory, but for those that exist already."""
    for part in re.split(r"\+(?=\w+:)", spec):
        kind, _, rest = part.partition(":")
        root, beside = (pathlib.Path(path) for path in (rest.partition(",")[0], rest.partition(",voc=")[2]))
        if kind in MAKERS and not root.exists():
            assert not root.is_absolute(), f"{spec}: outside the test's folder"
            MAKERS[kind](root)
        if beside.name and not beside.exists():
            sbd_test.write_voc(beside)


class Memory:
    """Records with everything that a set of TFDS may have, which takes seconds to write and needs TensorFlow."""

    def __len__(self) -> int:
        return NUMBER

    def __getitem__(self, index: int) -> Record:
        boxes = {"boxes": np.array([[2.0, 2, 20, 20]], np.float32), "labels": np.array([1], np.int32)}
        flags = {"difficult": np.zeros(1, bool), "crowd": np.zeros(1, bool)}
        coloured = np.full((*SIZE[::-1], 3), (0, 90, 200), np.uint8)
        pixels = {"image": coloured, "label_map": np.zeros(SIZE[::-1], np.uint8)}
        return {**pixels, "label": index % 2, **boxes, **flags}

    def name(self, index: int) -> str:
        return f"record {index}"


def tfds(class_names: tuple[str, ...]) -> Source:
    """A source as `tfds:NAME` opens it."""
    return Source({name: Memory() for name in ("train", "val", "test", "trainval")}, class_names)


def zeros(network: nn.Module, size: int) -> dict[str, Any]:
    """A network's variables, all 0, of which none takes memory."""
    shapes = jax.eval_shape(lambda: network.init(jax.random.PRNGKey(0), jnp.zeros((1, size, size, 3)), train=False))
    return nested({path: np.broadcast_to(np.float32(0), array.shape) for path, array in flat(shapes).items()})


def state_dict(file: str) -> Tensors:
    """The tensors of torchvision's network that a file is called after, with its names and shapes."""
    stem = pathlib.Path(file).stem
    networks: Mapping[str, tuple[nn.Module, int]] = {
        "resnet50": (ResNet(1000, 50), 64),
        "maskrcnn_resnet50_fpn": (resnet_fpn(91, masks=True), 64),
    }
    return torchvision.write(zeros(*networks[stem]))[1]


def run(workdir: str) -> Imported:
    """The encoder of the run that a docs' workdir is called after."""
    detector = "imagenet" in workdir or "yolo" in workdir
    net = Classifier(10, *(("paper", 1.0, 64) if "imagenet" in workdir else ("tiny", 0.5, 16)))
    variables = zeros(net, 64) if detector else zeros(Backbone().make(), 32)
    kept = {name: {k: v for k, v in tree.items() if k != "fc"} for name, tree in variables.items()}
    return Imported(kept, None, None, workdir)


def hed(file: pathlib.Path) -> None:
    """HED's trunk as Keras stores it; arrays that are not written read as 0."""
    before = 3
    with h5py.File(file, "w") as content:
        for block, (count, channels) in CHANNELS.items():
            for i in range(count):
                place = f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"
                content.create_dataset(f"{place}/0", (3, 3, before, channels), "f4")
                content.create_dataset(f"{place}/1", (channels,), "f4")
                before = channels


def yolo_weights(file: pathlib.Path) -> None:
    """The smallest of darknet's networks: a header, and a file of zeros that takes no room on the disk."""
    layout = next(x for x in darknet._layouts() if x.name == "tiny" and x.outputs == 49 * 30)
    with file.open("wb") as stream:
        stream.write(np.array([0, 2, 0, 0, 0], "<i4").tobytes())
        stream.truncate(20 + 4 * darknet._size(layout))
