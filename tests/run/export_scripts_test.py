"""use.py beside an exported program prepares an image as the experiments do."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import crops, segmentation, stretch
from jaxvision.data.canvas import Canvases
from jaxvision.data.decode import Encoded
from jaxvision.recipes.classification import ClassifierViews
from jaxvision.recipes.segmentation import SegmenterView
from jaxvision.run import export_scripts


def prepared(program: str = "stablehlo"):
    """The function of use.py, which runs as it is written there."""
    names = {"np": np, "Image": Image}
    text = export_scripts.script(program)
    compile(text, "use.py", "exec")
    exec(text[text.index("def prepared") : text.index('if __name__ == "__main__"')], names)
    return names["prepared"]


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    smooth = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    Image.fromarray(smooth).resize((90, 61), Image.Resampling.BICUBIC).save(path)
    return path


def as_here(transform, photo: Path) -> dict:
    return transform({"image": Encoded(str(photo))}, np.random.default_rng(0))


def test_a_square_from_the_middle(photo: Path):
    views = ClassifierViews(resize=40)
    how, expected = views.prepare(32), as_here(views.make(32)[0], photo)
    found = prepared()(Image.open(photo), how)
    assert how == {"resize": 40, "crop": 32} and set(found) == {"image"}
    np.testing.assert_array_equal(found["image"], expected["image"])
    assert ClassifierViews("multi_scale", sizes=(8, 16)).prepare(12) == {"resize": 16, "crop": 16}
    np.testing.assert_array_equal(
        prepared("onnx")(Image.open(photo), {"resize": 32, "crop": 32})["image"],
        as_here(crops.center_crop(32, 32), photo)["image"],
    )


def test_a_canvas_of_a_detector(photo: Path):
    frames = Canvases(64, 96, ((64, 96),))
    how = {**frames.prepare((1.0, 2.0, 3.4)), "canvas": [64, 96]}
    found, expected = prepared()(Image.open(photo), how), as_here(frames.evaluate(1, fill=(1.0, 2.0, 3.4)), photo)
    for name in ("size", "scale"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)
    np.testing.assert_array_equal(found["image"], expected["image"])


@pytest.mark.parametrize(("size", "shorter"), [((100, 120), 0), ((40, 40), 0), ((100, 120), 72), ((100, 120), 90)])
def test_a_canvas_of_a_segmenter_enlarges_only_to_a_shorter_side(photo: Path, size: tuple[int, int], shorter: int):
    how = SegmenterView(test_size=size, shorter=shorter).prepare((7.0, 8.0, 9.0))
    found = prepared()(Image.open(photo), how)
    expected = as_here(segmentation.evaluate(size, shorter=shorter, fill=(7.0, 8.0, 9.0)), photo)
    np.testing.assert_array_equal(found["size"], expected["size"])
    np.testing.assert_array_equal(found["original"], expected["original"])
    assert np.abs(found["image"].astype(int) - expected["image"]).max() <= 1


def test_nothing_is_said_of_a_mirrored_border():
    assert SegmenterView(border="mirror").prepare((0.0, 0.0, 0.0)) == {}


def test_a_stretched_image(photo: Path):
    found = prepared()(Image.open(photo), {"stretch": 48})
    expected = as_here(stretch.stretched(48, 1), photo)
    assert np.abs(found["image"].astype(int) - expected["image"]).max() <= 1
    np.testing.assert_allclose(found["scale"], expected["scale"], rtol=1e-6)


def test_files_beside_a_program(tmp_path: Path):
    export_scripts.write(tmp_path, {"class_names": ["a"], "prepare": {}}, "onnx")
    assert json.loads((tmp_path / "predict.json").read_text())["class_names"] == ["a"]
    assert not (tmp_path / "use.py").exists()  # a generator takes no image
    export_scripts.write(tmp_path, {"class_names": ["a"], "prepare": {"stretch": 4}}, "onnx")
    assert "onnxruntime" in (tmp_path / "use.py").read_text()


@pytest.mark.parametrize(("names", "said"), [(["a", "b"], "b: 0.750"), ([], "probabilities (1, 2)")])
def test_the_script_runs(
    tmp_path: Path,
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    names: list[str],
    said: str,
):
    outputs = SimpleNamespace(run=lambda wanted, inputs: [np.array([[0.25, 0.75]], np.float32)])
    runtime = SimpleNamespace(InferenceSession=lambda path, options: outputs, SessionOptions=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setattr(sys, "argv", ["use.py", str(photo)])
    described = {"class_names": names, "prepare": {"stretch": 4}, "inputs": {"image": {}}}
    export_scripts.write(tmp_path, {**described, "outputs": {"probabilities": {}}}, "onnx")
    runpy.run_path(str(tmp_path / "use.py"), run_name="__main__")
    assert said in capsys.readouterr().out
