"""The settings that a file of weights calls for build the network that the file fits."""

import json
from collections.abc import Callable
from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

import launch
from jaxvision.models.alexnet import AlexNet
from jaxvision.models.faster_rcnn import resnet_fpn
from jaxvision.models.fcn_resnet import FCNResNet
from jaxvision.models.googlenet import GoogLeNet
from jaxvision.models.resnet import CifarResNet, ResNet
from jaxvision.models.vgg import VGG
from jaxvision.recipes import pretrained
from jaxvision.run.config import from_dict
from jaxvision.weights import torchvision
from jaxvision.weights.imported import Imported
from tests.weights.peers import randomised
from tests.weights.torch_bytes import saved

WIDTH = 0.0625
CASES: dict[str, tuple[nn.Module, int, str, dict]] = {
    "alexnet": (AlexNet(10, "torchvision", WIDTH), 224, "classification/alexnet", {"variant": "torchvision"}),
    "vgg16_bn": (VGG(10, "D", True, WIDTH), 224, "classification/vgg", {"net": "D", "batch_norm": True}),
    "vgg11": (VGG(10, "A", False, WIDTH), 224, "classification/vgg", {"net": "A", "batch_norm": False}),
    "googlenet": (GoogLeNet(10, "torchvision", WIDTH), 64, "classification/googlenet", {"image_size": 224}),
    "resnet18": (ResNet(10, 18, width=WIDTH), 32, "classification/resnet", {"depth": 18, "stem": "imagenet"}),
    "resnet34": (ResNet(10, 34, width=WIDTH), 32, "classification/resnet", {"depth": 34, "version": "v1.5"}),
    "resnet101": (ResNet(10, 101, width=WIDTH), 32, "classification/resnet", {"depth": 101, "test.resize": 256}),
    "cifar": (CifarResNet(10, 20, "A"), 32, "classification/resnet", {"depth": 20, "shortcut": "A"}),
    "cifar b": (CifarResNet(10, 32, "B"), 32, "classification/resnet", {"depth": 32, "shortcut": "B"}),
    "fcn": (FCNResNet(21, 50, width=WIDTH), 33, "segmentation/fcn", {"network": "fcn_resnet50"}),
    "mask_rcnn": (
        resnet_fpn(91, width=WIDTH, masks=True),
        64,
        "detection/mask_rcnn",
        {"network.norm": "frozen", "network.norm_epsilon": 0.0, "view.short": 800, "proposing.test_after_nms": 1000}
        | {"optimizer.freeze": ("backbone/(conv1|bn1|layer1_)",)},
    ),
}


def imported(model: nn.Module, size: int, filled: Callable[..., dict], file: Path) -> Imported:
    tensors = torchvision.write(filled(model, jnp.zeros((1, size, size, 3))))[1]
    return torchvision.read(str(saved(file, tensors)))


@pytest.mark.parametrize("name", list(CASES))
def test_settings_name_the_experiment_and_the_network(name: str, filled: Callable[..., dict], tmp_path: Path):
    model, size, experiment, expected = CASES[name]
    found = pretrained.settings_of(imported(model, size, filled, tmp_path / "w.pth"))
    assert next(iter(found)) == experiment
    assert found[experiment].items() >= {"width" if "width" in found[experiment] else "network.width": 1.0}.items()
    assert found[experiment].items() >= expected.items()


def test_a_trunk_fits_the_detectors_that_start_from_it(filled: Callable[..., dict], tmp_path: Path):
    found = pretrained.settings_of(imported(ResNet(10, 34, width=WIDTH), 32, filled, tmp_path / "w.pth"))
    for experiment, settings in list(found.items())[1:]:
        config = from_dict(launch.load(experiment).PRESETS["quick"], settings)
        assert config.network.depth == 34 and config.network.width == 1.0 and "resnet" in str(config.network)
    assert list(found)[1:] == ["detection/faster_rcnn", "detection/mask_rcnn", "detection/rcnn"]


def test_a_detector_keeps_norms_and_first_layers_and_says_so(filled: Callable[..., dict], tmp_path: Path):
    """As torchvision and Detectron train from ImageNet's weights; the classifier of whole images has no place there."""
    weights = imported(ResNet(10, 34, width=WIDTH), 32, filled, tmp_path / "w.pth")
    flags = pretrained.settings_of(weights)["detection/faster_rcnn"]
    assert flags["network.norm"] == "frozen" and flags["optimizer.freeze"] == ("backbone/(conv1|bn1|layer1_)",)
    c4 = pretrained.fitting(flags, {"network.backbone": "resnet_c4"})
    assert "network.backbone" not in c4 and c4["network.norm"] == "frozen"
    assert pretrained.fitting(flags, {"network.backbone": "vgg16"})["network.backbone"] == "resnet_fpn"
    whole = {**flags, "network.anchor_sizes": (32.0, 64.0)}  # of a whole detector, whose pyramid has weights too
    assert pretrained.fitting(whole, {"network.backbone": "resnet_c4"})["network.backbone"] == "resnet_fpn"
    said = pretrained.account(weights, "detection/faster_rcnn", {"network.norm": "frozen", "network.depth": 18})
    assert said == f"{tmp_path / 'w.pth'}: flags chosen to fit it: network.norm=frozen"
    assert pretrained.account(weights, "gan/dcgan", {}) == ""
    for experiment, kept in (("detection/faster_rcnn", False), ("ssl/probe", False), ("classification/resnet", True)):
        assert ("fc" in pretrained.for_training(weights, experiment).variables["params"]) == kept


def test_a_run_of_ours_gives_its_network_to_its_experiment_and_its_encoder_to_others():
    settings = {"depth": 10, "width": 0.5, "steps": 9, "optimizer.lr": 0.5, "data": "digits", "test.resize": 8}
    tree = {"params": {"conv1": {"kernel": np.zeros((3, 3, 3, 4))}, "fc": {"bias": np.zeros(2)}}}
    run = {"experiment": "classification/resnet", "config": settings}
    own = Imported(tree, None, None, "x", "classification/resnet", class_names=("a",), head=("fc",), run=run)
    assert pretrained.settings_of(own) == {"classification/resnet": {"depth": 10, "width": 0.5}}
    assert pretrained.for_training(own, "classification/resnet") is own
    other = pretrained.for_training(own, "detection/faster_rcnn")
    assert other.variables["params"].keys() == {"conv1"} and not other.run and not other.network
    detector = own._replace(run={"experiment": "gan/dcgan", "config": {"network.size": 32, "generator.lr": 1.0}})
    assert pretrained.settings_of(detector) == {"gan/dcgan": {"network.size": 32}}


def test_weights_that_say_nothing_of_a_network_change_no_settings():
    assert pretrained.settings_of(Imported({"params": {"conv1_1": {}}}, None, None, "a trunk")) == {}


@pytest.fixture
def weights(filled: Callable[..., dict], tmp_path: Path) -> Path:
    imported(CifarResNet(10, 20, "A"), 32, filled, tmp_path / "cifar20.pth")
    return tmp_path / "cifar20.pth"


def test_a_file_and_photos_are_enough_to_predict_and_to_export(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    common = ["launch.py", f"--init_from=torchvision:{weights}", f"--workdir={tmp_path / 'out'}"]
    assert launch.main([*common, "--mode=predict", f"--input={tmp_path}/*.png"]) == 0
    said = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [Path(one["file"]).name for one in said] == ["0.png", "1.png"]
    assert all(len(one["probabilities"]) == 5 for one in said)
    assert launch.main([*common, "--mode=export"]) == 0
    assert json.loads((tmp_path / "out" / "export" / "predict.json").read_text())["inputs"]["image"]["shape"][1] == 32
    assert launch.main([*common, "--mode=export", "--format=safetensors"]) == 0
    again = torchvision.read(str(tmp_path / "out" / "export" / "cifar_resnet.safetensors"))
    before = torchvision.read(str(weights))
    np.testing.assert_array_equal(again.variables["params"]["fc"]["kernel"], before.variables["params"]["fc"]["kernel"])
    capsys.readouterr()
    assert launch.main([*common, "--mode=evaluate"]) == 2
    assert "--mode=evaluate needs --data" in capsys.readouterr().err
    assert launch.main([*common, "--mode=evaluate", "--data=digits:count=32"]) == 0
    assert "val/accuracy" in json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert "<h1>classification/resnet</h1>" in (tmp_path / "out" / "report.html").read_text()


def test_what_a_file_says_goes_into_a_folder_of_its_name(weights: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(weights.parent)
    for file in (weights.name, f"./{weights.name}", str(weights)):
        flags = ["launch.py", f"--init_from=torchvision:{file}", "--mode=predict"]
        assert launch.parse(flags)[0].workdir == "runs/cifar20"


@pytest.mark.long
def test_training_goes_on_from_a_file(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    common = ["launch.py", f"--init_from=torchvision:{weights}", f"--workdir={tmp_path / 'run'}"]
    training = [*common, "--smoke", "--experiment=classification/resnet", "--data=digits:count=32"]
    assert launch.main([*training, "--image_size=16", "--head=new"]) == 0
    saved_config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved_config["config"]["depth"] == 20 and saved_config["config"]["image_size"] == 16
    assert saved_config["normalise"]["mean"] == [123.675, 116.28, 103.53]
    capsys.readouterr()
    assert launch.main([*common, "--mode=predict", f"--input={tmp_path}"]) == 2
    assert "holds a run with weights of its own; leave --init_from out" in capsys.readouterr().err


@pytest.mark.peer
def test_a_users_photo_gets_torchvisions_answer(tmp_path: Path):
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    torch.manual_seed(0)
    torch_model = randomised(peer.models.resnet18(weights=None))
    torch.save(torch_model.state_dict(), tmp_path / "resnet18.pth")
    photo = Image.fromarray(load_sample_images().images[0])
    photo.save(tmp_path / "photo.png")
    flags = [f"--init_from=torchvision:{tmp_path}/resnet18.pth", f"--input={tmp_path}/photo.png", "--mode=predict"]
    assert launch.main(["launch.py", *flags, f"--workdir={tmp_path / 'out'}"]) == 0
    (said,) = json.loads((tmp_path / "out" / "predictions.json").read_text())
    prepare = peer.transforms._presets.ImageClassification(crop_size=224)
    with torch.no_grad():
        expected = torch_model(prepare(photo)[None]).softmax(1)[0].numpy()
    names = peer.models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    assert said["label"] == names[expected.argmax()]
    for name, probability in said["probabilities"].items():
        assert abs(probability - max(p for n, p in zip(names, expected, strict=True) if n == name)) < 1e-4
