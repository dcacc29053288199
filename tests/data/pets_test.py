import os
import pathlib
import pickle
import sys

import numpy as np
import pytest
import tensorflow_datasets
from PIL import Image

from jaxvision.data import decode, sources


def rows(*values: int) -> np.ndarray:
    """A 3-column label map with one value a row."""
    return np.repeat(np.array(values, np.uint8)[:, None], 3, axis=1)


@pytest.mark.parametrize("spec", ["tfds:mnist", "tfds:oxford_flowers102:2.1.1"])
def test_sets_of_tfds_without_known_label_maps_are_one_line(spec):
    with pytest.raises(ValueError, match=f"^--data={spec}: [^\n]+ use tfds:oxford_iiit_pet$"):
        sources.load(spec, "label_maps")


@pytest.mark.filterwarnings("ignore")  # the package's own
def test_pets_are_read_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    os.makedirs(tmp_path / "tfds")
    prepare_pets(tmp_path, [rows(1, 2, 3), rows(3, 3, 2), rows(2, 0, 1), rows(1, 2, 4), rows(1, 2)])
    source = sources.load("tfds:oxford_iiit_pet", "label_maps")
    assert source.class_names == ("pet", "background", "border")
    assert {split: len(records) for split, records in source.splits.items()} == {"train": 5, "test": 5, "val": 5}
    records = pickle.loads(pickle.dumps(source["train"]))
    found: dict[int, object] = {}
    for index in range(5):
        colour = int(decode.Encoded(bytes(records.examples[index]["image"])).pixels()[0, 0, 0])
        try:
            found[colour] = records[index]["label_map"][:, 0].tolist()
        except ValueError as error:
            found[colour] = str(error).partition("]: ")[2]
    assert found[0] == [0, 1, 2] and found[1] == [2, 2, 1] and found[2] == [1, 255, 0]
    assert found[3] == "has label 3, but there are 3 classes, from 0; mark what does not count by 255"
    assert found[4] and "the label map is 3x2, but tfds:oxford_iiit_pet/train[" in str(found[4])
    assert "tensorflow" not in sys.modules


def prepare_pets(root: pathlib.Path, label_maps: list[np.ndarray]) -> None:
    """Writes label maps and images of 3×3 pixels, coloured with their number, as TFDS itself would."""
    features = tensorflow_datasets.features
    files = []
    for index, labels in enumerate(label_maps):
        files.append((str(root / f"{index}.png"), str(root / f"labels{index}.png")))
        Image.fromarray(np.full((3, 3, 3), index, np.uint8)).save(files[-1][0])
        Image.fromarray(labels).save(files[-1][1])

    def examples(self):
        for index, (image, labels) in enumerate(files):
            yield index, {"image": image, "segmentation_mask": labels}

    def info(self):
        mask = features.Image(shape=(None, None, 1), use_colormap=True)
        content = features.FeaturesDict({"image": features.Image(shape=(None, None, 3)), "segmentation_mask": mask})
        return tensorflow_datasets.core.DatasetInfo(builder=self, features=content)

    body = {
        "VERSION": tensorflow_datasets.core.Version("1.0.0"),
        "name": "oxford_iiit_pet",
        "_info": info,
        "_split_generators": lambda self, _: {split: self._generate_examples() for split in ("train", "test")},
        "_generate_examples": examples,
    }
    bases = (tensorflow_datasets.core.GeneratorBasedBuilder,)
    builder = type("OxfordIiitPet", bases, body, skip_registration=True)
    builder(data_dir=str(root / "tfds"), file_format="array_record").download_and_prepare()
