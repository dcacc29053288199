import os
import pathlib
import pickle
import sys

import numpy as np
import pytest
import tensorflow_datasets
from PIL import Image

from jaxvision.data import decode, sources, tfds
from jaxvision.data.source_log import describe

pytestmark = pytest.mark.filterwarnings("ignore")  # the package's own


def prepare(root: pathlib.Path, name: str, *, file_format: str = "array_record", labelled: bool = True) -> None:
    """Writes a two-class set of five training and three validation images as TFDS itself would."""
    files = []
    for index in range(8):
        files.append(root / f"{name}{index}.png")
        Image.fromarray(np.full((4, 5, 3), 10 * index, np.uint8)).save(files[-1])

    def examples(self, part):
        for file in part:
            yield file.name, {"image": str(file), **({"label": len(file.name) % 2} if labelled else {})}

    def info(self):
        features = {"image": tensorflow_datasets.features.Image(shape=(None, None, 3))}
        if labelled:
            features["label"] = tensorflow_datasets.features.ClassLabel(names=["cat", "dog"])
        return tensorflow_datasets.core.DatasetInfo(
            builder=self, features=tensorflow_datasets.features.FeaturesDict(features)
        )

    body = {
        "VERSION": tensorflow_datasets.core.Version("1.0.0"),
        "name": name,
        "_info": info,
        "_split_generators": lambda self, _: {
            "train": self._generate_examples(files[:5]),
            "validation": self._generate_examples(files[5:]),
        },
        "_generate_examples": examples,
    }
    builder = type(name.title(), (tensorflow_datasets.core.GeneratorBasedBuilder,), body)
    builder(data_dir=str(root / "tfds"), file_format=file_format).download_and_prepare()


def prepare_objects(root: pathlib.Path, name: str, flag: str, boxes: list[list[tuple]]) -> None:
    """Writes a detection set of 50×40 images; a box is (label, flag, xmin, ymin, xmax, ymax) in the source's pixels."""
    features = tensorflow_datasets.features
    files = []
    for index in range(len(boxes)):
        files.append(root / f"{name}{index}.png")
        Image.fromarray(np.full((40, 50, 3), index, np.uint8)).save(files[-1])

    def thing(label, marked, x0, y0, x1, y1):
        return {"label": label, flag: marked, "bbox": features.BBox(y0 / 40, x0 / 50, y1 / 40, x1 / 50)}

    def examples(self):
        for index, file in enumerate(files):
            yield index, {"image": str(file), "objects": [thing(*box) for box in boxes[index]]}

    def info(self):
        label = features.ClassLabel(names=["cat", "dog"])
        objects = features.Sequence({"label": label, "bbox": features.BBoxFeature(), flag: np.bool_})
        content = features.FeaturesDict({"image": features.Image(shape=(None, None, 3)), "objects": objects})
        return tensorflow_datasets.core.DatasetInfo(builder=self, features=content)

    body = {
        "BUILDER_CONFIGS": [tensorflow_datasets.core.BuilderConfig(name="2007", version="1.0.0")],
        "VERSION": tensorflow_datasets.core.Version("1.0.0"),
        "name": name,
        "_info": info,
        "_split_generators": lambda self, _: {"train": self._generate_examples()},
        "_generate_examples": examples,
    }
    builder = type(name.title(), (tensorflow_datasets.core.GeneratorBasedBuilder,), body, skip_registration=True)
    builder(data_dir=str(root / "tfds"), file_format="array_record").download_and_prepare()


@pytest.fixture(autouse=True)
def data_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    os.makedirs(tmp_path / "tfds")
    return tmp_path


def test_a_prepared_set_is_read_without_tensorflow(data_folder):
    prepare(data_folder, "pets")
    source = tfds.load("tfds:pets")
    assert source.class_names == ("cat", "dog")
    assert (len(source["train"]), len(source["val"])) == (5, 3)
    levels = sorted(source["train"][i]["image"][0, 0, 0] for i in range(5))
    assert levels == [0, 10, 20, 30, 40]
    record = pickle.loads(pickle.dumps(source["val"])).encoded(1)
    assert isinstance(record["image"], decode.Encoded) and record["label"] == 1
    assert source["train[:60%]"].name(2) == "tfds:pets/train[2]"
    assert len(tfds.load("tfds:pets:1.0.0")["train"]) == 5
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize("name", ["mnist", "no_such_set", "coco/2017"])
def test_what_is_not_prepared_says_what_to_run(name):
    how = f"pip install tensorflow && tfds build {name} --file_format=array_record"
    expected = f"^--data=tfds:{name}: not prepared [^\n]*{how}$"
    with pytest.raises(ValueError, match=expected):
        tfds.load(f"tfds:{name}")


def test_images_without_labels_are_a_source_without_classes(data_folder):
    prepare(data_folder, "faces", labelled=False)
    source = sources.load("tfds:faces")
    assert source.class_names == () and len(source["train"]) == 5 and len(source["val"]) == 3
    assert source["train"][0].keys() == {"image"} == source["train"].encoded(0).keys()
    assert "no labels" in describe("tfds:faces", source)


def test_sets_that_cannot_serve_are_one_line(data_folder, monkeypatch):
    prepare(data_folder, "bare", labelled=False)
    with pytest.raises(ValueError, match="^--data=tfds:bare: has images alone, and labels are needed$"):
        sources.load("tfds:bare", "labels")
    prepare(data_folder, "odd")
    formats = tensorflow_datasets.core.file_adapters.FileFormat
    monkeypatch.setattr(tensorflow_datasets.core.DatasetInfo, "available_file_formats", lambda self: {formats.TFRECORD})
    with pytest.raises(ValueError, match="^--data=tfds:odd: prepared as tfrecord, not array_record; prepare it once"):
        tfds.load("tfds:odd")


@pytest.mark.parametrize(
    "name, flag, key, corner", [("voc", "is_difficult", "difficult", 6), ("cows", "is_crowd", "crowd", 7)]
)
def test_detection_sets_give_the_records_of_our_own_readers(data_folder, name, flag, key, corner):
    boxes = [[("dog", True, 7, 3, 33, 29), ("cat", False, 1, 1, 50, 40)], [], [("cat", False, 9, 9, 9, 12)]]
    prepare_objects(data_folder, name, flag, boxes)
    source = tfds.load(f"tfds:{name}/2007")
    assert source.class_names == ("background", "cat", "dog")
    parent = source["train"].parent
    found = {int(parent[i]["image"][0, 0, 0]): parent.encoded(i) for i in range(3)}
    assert found[0]["boxes"].tolist() == [[corner, corner - 4, 33, 29], [corner - 6, corner - 6, 50, 40]]
    assert found[0]["labels"].tolist() == [2, 1] and found[0][key].tolist() == [True, False]
    assert isinstance(found[0]["image"], decode.Encoded) and found[0]["boxes"].dtype == np.float32
    assert found[1]["boxes"].shape == (0, 4) and found[1]["labels"].shape == found[1][key].shape == (0,)
    assert found[2]["boxes"].shape == ((1, 4) if name == "voc" else (0, 4))
    assert "tensorflow" not in sys.modules


def test_boxes_are_whole_pixels_again():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(1, 490, (200, 2, 2)), axis=1).reshape(-1, 4)
    fractions = (corners[:, [1, 0, 3, 2]] / np.array([[375, 500, 375, 500]])).astype(np.float32)
    expected = corners - np.array([[1, 1, 0, 0]])
    np.testing.assert_array_equal(tfds.pixel_boxes(fractions, 500, 375, one_based=True), expected)
    assert tfds.pixel_boxes(np.array([], np.float32), 5, 5, one_based=False).shape == (0, 4)
