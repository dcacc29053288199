"""Features of images as files, and who is nearest to whom."""

import csv
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxvision.data.image_files import ImageFiles
from jaxvision.run.embedding import embed, nearest, write_features, write_neighbours
from jaxvision.run.request import Flags, Request
from jaxvision.train import devices, loop
from jaxvision.train.restore import Run
from jaxvision.train.steps import init_state, no_step
from jaxvision.train.types import Batch, Experiment, Stage, Task
from jaxvision.train.writer import Writer
from tests.viz.tags import Tags


def photos(folder: Path, *shades: int) -> list[str]:
    folder.mkdir()
    names = [str(folder / f"{i} & {shade}.png") for i, shade in enumerate(shades)]
    for name, shade in zip(names, shades, strict=True):
        Image.new("RGB", (6, 4), (shade, 255 - shade, 0)).save(name)
    return names


def test_the_nearest_point_the_same_way():
    features = np.array([[1, 0], [0, 1], [5, 1], [0, 0], [0, 3]], np.float32)
    places, cosines = nearest(features, 2)
    assert places[0].tolist() == [2, 1] and places[1, 0] == 4 and places[4, 0] == 1
    assert cosines[1, 0] == pytest.approx(1.0) and not np.any(places == np.arange(5)[:, None])
    assert nearest(features[:2], 6)[0].tolist() == [[1], [0]]


def test_files_of_features(tmp_path: Path):
    names, features = ["a b.png", "c,d.png"], np.array([[0.5, -1.25], [3, 4]], np.float32)
    write_features(tmp_path, names, features)
    kept = np.load(tmp_path / "features.npz")
    assert kept["files"].tolist() == names
    np.testing.assert_array_equal(kept["features"], features)
    rows = list(csv.reader((tmp_path / "features.csv").read_text().splitlines()))
    assert rows == [["file", "f0", "f1"], ["a b.png", "0.5", "-1.25"], ["c,d.png", "3", "4"]]
    assert (tmp_path / "vectors.tsv").read_text() == "0.5\t-1.25\n3\t4\n"
    assert (tmp_path / "metadata.tsv").read_text() == "a b.png\nc,d.png\n"


def test_the_page_shows_each_image_beside_its_neighbours(tmp_path: Path):
    names = photos(tmp_path / "photos", 0, 10, 250)
    tags = Tags(write_neighbours(tmp_path, names, np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)).read_text())
    assert tags.seen.count("img") == 3 * 3 and len(list((tmp_path / "small").iterdir())) == 3
    assert tags.words.index("0 & 0.png") < tags.words.index("0.995") < tags.words.index("1 & 10.png")


def test_a_small_copy_of_16_bits_is_read_as_the_network_reads_it(tmp_path: Path):
    names = photos(tmp_path / "photos", 0, 10)
    Image.fromarray(np.tile(np.arange(0, 4000, 20, np.uint16), (300, 1))).save(names[0])
    write_neighbours(tmp_path, names, np.array([[1, 0], [0, 1]], np.float32))
    small = np.asarray(Image.open(tmp_path / "small" / "0 & 0.jpg"))
    assert small.shape == (128, 85, 3) and small[:, 0].max() < 20 and 100 < small[:, 42].mean() < 150


class Files:
    """Batches of two images, of which the last is padding and the second cannot be read."""

    def __init__(self, records: ImageFiles) -> None:
        shades = [np.asarray(records[i]["image"])[0, 0].astype(np.float32) for i in range(len(records))]
        self.batches = iter(
            [
                {"image": np.stack(shades[:2]), "_mask": np.array([True, False])},
                {"image": np.stack([shades[2], shades[2]]), "_mask": np.array([True, False])},
            ]
        )

    def __iter__(self):
        return self

    def __next__(self) -> Batch:
        return next(self.batches)

    def close(self) -> None:
        pass


class Broken(Files):
    """Batches of which no image can be read."""

    def __next__(self) -> Batch:
        return {**super().__next__(), "_mask": np.zeros(2, bool)}


def test_images_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = photos(tmp_path / "photos", 0, 10, 250)
    where = devices.choose("jit", jax.devices()[:1])
    run = Run(tmp_path / "run", jax.random.PRNGKey(0), where, Writer(tmp_path / "run"))
    task = Task(
        lambda key, batch: init_state(key, {"params": {}}, {}),
        no_step,
        lambda state, batch: {"features": batch["image"] / 255},
    )
    experiment = Experiment(
        (Stage("train", task, None, 0),), embedding=lambda records: lambda shard, shards: Files(records)
    )
    loop.train(experiment, run)
    embed(experiment, run, Request("a/b", None, Flags(input=str(tmp_path / "photos")), ""))
    kept = np.load(run.workdir / "embedding" / "features.npz")
    assert kept["files"].tolist() == [names[0], names[2]]
    np.testing.assert_allclose(kept["features"], [[0, 1, 0], [250 / 255, 5 / 255, 0]], rtol=1e-6)
    assert "2 of 3 images, 1 cannot be read: 3 features each" in capsys.readouterr().err
    (tmp_path / "photos" / "notes.txt").touch()
    broken = experiment._replace(embedding=lambda records: lambda shard, shards: Broken(records))
    with pytest.raises(ValueError, match="--input=.*photos: none of its 3 images can be read"):
        embed(broken, run, Request("a/b", None, Flags(input=str(tmp_path / "photos")), ""))
    assert "1 files are no images by their names and are left out: " in capsys.readouterr().err
    with pytest.raises(ValueError, match="--mode=embed needs --input"):
        embed(experiment, run, Request("a/b", None, Flags(), ""))
    with pytest.raises(ValueError, match="no features of whole images"):
        embed(Experiment(()), run, Request("a/b", None, Flags(input="x"), ""))
