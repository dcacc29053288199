import os
import pathlib
import pickle
import sys

import numpy as np
import pytest
import tensorflow_datasets
from PIL import Image

from jaxvision.data import decode, tfds

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


def test_sets_that_cannot_serve_are_one_line(data_folder, monkeypatch):
    prepare(data_folder, "bare", labelled=False)
    with pytest.raises(ValueError, match="^--data=tfds:bare: needs an image and a class label, [^\n]* image$"):
        tfds.load("tfds:bare")
    prepare(data_folder, "odd")
    formats = tensorflow_datasets.core.file_adapters.FileFormat
    monkeypatch.setattr(tensorflow_datasets.core.DatasetInfo, "available_file_formats", lambda self: {formats.TFRECORD})
    with pytest.raises(ValueError, match="^--data=tfds:odd: prepared as tfrecord, not array_record; prepare it once"):
        tfds.load("tfds:odd")
