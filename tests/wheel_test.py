"""The package as others install it: a wheel that holds jaxvision alone and works from an empty directory."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Older ones cannot build a wheel by themselves; without network no newer one can be fetched.
SETUPTOOLS = 77

# Also what to run by hand after `pip install .` in a new environment.
USE = """
import importlib.metadata, sys
import jax, jax.numpy as jnp, numpy as np
import jaxvision
assert jaxvision.__version__ == importlib.metadata.version("jaxvision-papers")

from jaxvision.ops import roi_align
pooled = roi_align(jnp.ones((1, 8, 8, 3)), jnp.array([[[0.0, 0.0, 16.0, 16.0]]]), (2, 2), spatial_scale=0.25)
assert pooled.shape == (1, 1, 2, 2, 3) and np.allclose(pooled, 1)

from jaxvision.models import ResNet50
model, images = ResNet50(), jnp.zeros((1, 32, 32, 3))
shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
assert jax.jit(lambda v, x: model.apply(v, x, train=False)["logits"])(variables, images).shape == (1, 1000)

from jaxvision.evals import coco_ap
box = {"boxes": np.array([[[2.0, 2.0, 9.0, 9.0]]], np.float32), "labels": np.array([[1]]), "valid": np.array([[True]])}
outputs = {**box, "scores": np.array([[0.9]], np.float32)}
image = {"ignore": np.array([[False]]), "scale": np.ones((1, 2), np.float32), "_mask": np.array([True])}
batch = {**box, **image, "image_id": np.array([7]), "size": np.array([[20, 20]])}
metric = coco_ap(("background", "cat"))
assert metric.result(metric.update(metric.init(), outputs, batch))["AP"] == 1

from jaxvision.weights import load, preprocess
assert [len(preprocess.label_names(name)) for name in ("imagenet", "coco", "voc")] == [1000, 91, 21]
print(jaxvision.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without network: by the setuptools that is installed."""
    version = metadata.version("setuptools")
    if int(version.partition(".")[0]) < SETUPTOOLS:
        pytest.skip(f"building the wheel without network needs setuptools {SETUPTOOLS} or newer, here is {version}")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, since setuptools writes beside what it builds
    source.mkdir()
    for name in ("pyproject.toml", "requirements.txt", "README.md", "jaxvision", "experiments", "tests", "launch.py"):
        (source / name).symlink_to(ROOT / name)
    options = ["--no-build-isolation", "--no-deps", "--no-index", "-q", "-w", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_alone(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"jaxvision"}
    package = [p for p in ROOT.glob("jaxvision/**/*") if p.is_file() and "__pycache__" not in p.parts]
    assert {name for name in names if ".dist-info/" not in name} == {str(p.relative_to(ROOT)) for p in package}


def test_the_wheel_names_its_dependencies(wheel: Path):
    written = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    lines = archive.read(name).decode().partition("\n\n")[0].splitlines()
    required = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    assert len([r for r in required if "extra ==" not in r]) == len([w for w in written if w])
    extras = {line.removeprefix("Provides-Extra: ") for line in lines if line.startswith("Provides-Extra: ")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extras == set(project["optional-dependencies"]) and {"cuda13", "tpu"} <= extras


def test_the_wheel_works_from_an_empty_directory(wheel: Path, tmp_path: Path):
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")}))
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(packages)]
    subprocess.run([*install, str(wheel)], check=True, timeout=300)
    (packages / "dependencies.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")))
    (tmp_path / "empty").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), "-c", USE]
    done = subprocess.run(command, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(packages)
