"""Networks as ONNX; needs jax2onnx and onnxruntime, and is skipped by name without."""

import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.resnet import CifarResNet
from jaxvision.run.onnx_export import check, write_onnx

BATCH = {"image": np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)}


def classifier() -> partial:
    model = CifarResNet(10, 8, width=0.5)
    shapes = jax.eval_shape(partial(model.init, train=False), jax.random.PRNGKey(0), jnp.zeros((1, 8, 8, 3)))
    rng = np.random.default_rng(1)
    variables = jax.tree.map(lambda leaf: rng.uniform(0.05, 0.15, leaf.shape).astype(np.float32), shapes)

    def predict(variables, batch) -> dict[str, jax.Array]:
        images = batch["image"].astype(jnp.float32) / 255
        return {"probabilities": jax.nn.softmax(model.apply(variables, images, train=False)["logits"])}

    return partial(predict, variables)


def test_without_the_libraries_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match="--format=onnx needs jax2onnx and onnxruntime .*pip install"):
        write_onnx(tmp_path / "predict.onnx", lambda batch: batch, BATCH, {}, pytest.fail)


class Session:
    """An onnxruntime that gives what it is told."""

    outputs: list[np.ndarray] = []

    def __init__(self, path: str, options: SimpleNamespace) -> None:
        assert options.log_severity_level == 3  # no warnings about what is inside

    def run(self, names: list[str], inputs: dict) -> list[np.ndarray]:
        return self.outputs


def test_another_result_is_refused(monkeypatch: pytest.MonkeyPatch):
    runtime = SimpleNamespace(InferenceSession=Session, SessionOptions=SimpleNamespace)
    right = np.array([[100.0, 1.0]])
    monkeypatch.setattr(Session, "outputs", [right + 0.009])
    check(runtime, Path("x"), BATCH, {"scores": right})
    monkeypatch.setattr(Session, "outputs", [right + 0.02])
    with pytest.raises(ValueError, match="--format=onnx: scores of the exported program differs by 0.02"):
        check(runtime, Path("x"), BATCH, {"scores": right})


def test_a_file_with_other_outputs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(
        sys.modules, "onnxruntime", SimpleNamespace(InferenceSession=Session, SessionOptions=SimpleNamespace)
    )
    converter = SimpleNamespace(to_onnx=lambda *_, output_path, **__: Path(output_path).touch())
    monkeypatch.setitem(sys.modules, "jax2onnx", converter)
    monkeypatch.setattr(Session, "outputs", [np.full((2, 1), 1.02)])
    path, right, lines = tmp_path / "predict.onnx", {"scores": np.ones((2, 1))}, list[str]()
    with pytest.raises(ValueError, match="--format=onnx: scores of the exported program differs by 0.02"):
        write_onnx(path, lambda batch: batch, BATCH, right, lines.append)
    assert not path.exists()
    write_onnx(path, lambda batch: batch, BATCH, right, pytest.fail, tolerance=0.05)  # as in bfloat16
    assert path.exists()


def test_a_file_that_onnxruntime_cannot_run_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*given: object) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT :\nUnsupported pooling size.")

    monkeypatch.setattr(Session, "run", fail)
    runtime = SimpleNamespace(InferenceSession=Session, SessionOptions=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    converter = SimpleNamespace(to_onnx=lambda *_, output_path, **__: Path(output_path).touch())
    monkeypatch.setitem(sys.modules, "jax2onnx", converter)
    with pytest.raises(ValueError, match="onnxruntime cannot run .*Unsupported pooling size.; --format=stablehlo"):
        write_onnx(
            tmp_path / "predict.onnx", lambda batch: batch, BATCH, {"scores": np.ones((2, 1))}, lambda line: None
        )
    assert not (tmp_path / "predict.onnx").exists()


@pytest.mark.filterwarnings("ignore")
def test_a_classifier_does_there_what_it_does_here(tmp_path: Path):
    pytest.importorskip("jax2onnx", reason="needs jax2onnx: pip install jax2onnx")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")
    network, lines = classifier(), list[str]()
    about = write_onnx(tmp_path / "predict.onnx", network, BATCH, jax.jit(network)(BATCH), lines.append)
    assert about["outputs"]["probabilities"]["dtype"] == "float32" and about["inputs"]["image"]["dtype"] == "uint8"
    session = onnxruntime.InferenceSession(str(tmp_path / "predict.onnx"))
    (found,) = session.run(["probabilities"], BATCH)
    np.testing.assert_allclose(found, jax.jit(network)(BATCH)["probabilities"], atol=1e-5)
    if not lines:
        three = np.tile(BATCH["image"][:1], (3, 1, 1, 1))
        assert session.run(["probabilities"], {"image": three})[0].shape == (3, 10)


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_converted_is_refused_by_name(tmp_path: Path):
    pytest.importorskip("jax2onnx", reason="needs jax2onnx: pip install jax2onnx")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")

    def odd(batch) -> dict[str, jax.Array]:
        return {"x": jax.pure_callback(np.asarray, jax.ShapeDtypeStruct((2, 8), jnp.float32), jnp.zeros((2, 8)))}

    with pytest.raises(ValueError, match="--format=onnx: jax2onnx cannot convert this network: .*stablehlo"):
        write_onnx(tmp_path / "predict.onnx", odd, BATCH, {"x": np.zeros((2, 8), np.float32)}, lambda line: None)
    assert not (tmp_path / "predict.onnx").exists()
