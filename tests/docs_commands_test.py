"""Commands in the docs with data, weights or a preset are accepted: files of these names are made, the experiment is
built, and weights are merged by their shapes."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import launch
from experiments.ssl import jigsaw
from jaxvision.data import sources
from jaxvision.data.image_files import image_files
from jaxvision.data.source_log import SourceLog
from jaxvision.run import commandline, session
from jaxvision.run.config import to_dict
from jaxvision.run.network import imported_weights
from jaxvision.run.request import FOR_TRAINING
from jaxvision.run.trained import for_use
from jaxvision.run.workdir_config import origin_of
from jaxvision.train import devices
from jaxvision.train.types import Experiment, TrainState
from jaxvision.weights import load, own, state_dict, torchvision
from jaxvision.weights.description import describe
from jaxvision.weights.imported import Imported
from tests import docs_files
from tests.docs_test import EXAMPLE, PAGES, ROOT, written

NOT_OF_THE_NETWORK = ("--workdir=", "--workers=", "--coordinator=", "--num_processes=", "--process_id=", "--parallel=")
SAID = ("--data=", "--preset=", "--init_from=")  # without any of them it is a preset that the wiring's tables have


def commands() -> list[str]:
    """Every different command of the docs that names data, weights or a preset, without what changes no network."""
    found: dict[str, None] = {}
    for path in [*PAGES, ROOT / "launch.py", *sorted(ROOT.glob("experiments/*/[!_]*.py"))]:
        for words in written(path):
            named = [word for word in words[1:] if word.startswith(SAID)]
            known = any(word.startswith(("--experiment=", "--init_from=")) for word in words)
            if named and known and not any(own in word for word in words for own in (EXAMPLE, "/own_", "lines:")):
                kept = sorted(word for word in words[1:] if not word.startswith(NOT_OF_THE_NETWORK))
                found[shlex.join(kept)] = None
    return list(found)


COMMANDS = commands()
TRUNKS = [  # the ways to start a detector from ImageNet's weights, with and without the word that a classifier needs
    f"--experiment=detection/{name} --preset={preset} --init_from=torchvision:resnet50.pth {more}".strip()
    for name, preset in (("faster_rcnn", "fpn"), ("mask_rcnn", "paper"), ("mask_rcnn", "c4"), ("mask_rcnn", "photos"))
    for more in ("", "--head=new")
]


@pytest.fixture(scope="module", autouse=True)
def _files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("docs"))
        for name in ("resnet50.pth", "maskrcnn_resnet50_fpn.pth", "pt_inception-2015-12-05-6726825d.pth"):
            Path(name).touch()
        docs_files.hed(Path("hed.weights.h5"))
        docs_files.yolo_weights(Path("yolov1.weights"))
        docs_files.images(Path("photos"), ".jpg")
        for run in ("ssl-simclr", "classification-yolo", "imagenet"):
            Path("runs", run).mkdir(parents=True)
        Path("runs", "flowers", "export").mkdir(parents=True)
        shutil.copy(own.located("digits_resnet"), "runs/flowers/export/run.safetensors")
        patch.setattr(state_dict, "read", docs_files.state_dict)
        patch.setattr(load, "READERS", {**load.READERS, "workdir": docs_files.run})
        patch.setattr(jigsaw, "spread", lambda count: np.zeros((count, 9), np.int32))  # takes seconds
        opened = sources.load

        def of_spec(spec: str, *given: Any, **settings: Any) -> Any:
            names = {"tfds:imagenet2012": ("tench", "goldfish")}
            return docs_files.tfds(names.get(spec, ("a", "b"))) if "tfds:" in spec else opened(spec, *given, **settings)

        patch.setattr(sources, "load", of_spec)
        yield


def asked(command: str) -> tuple[Experiment, Imported | None, Any]:
    """Do what the launcher does before it trains; return the experiment, the weights and the request."""
    inside = re.sub(r"(?<==)(\w+):(?:/data/|~/)", r"\1:data/\1/", command)
    inside = inside.replace("+voc:/data/", "+voc:data/voc/")
    values, name, config = launch.parse(["launch.py", *shlex.split(inside), "--workdir=out"])
    docs_files.make(getattr(config, "data", ""))
    request = commandline.request(values, name, config)
    imported = imported_weights(request.flags, name)
    origin = origin_of(request.flags.init_from, imported) if imported else {}
    config = for_use(config, request.flags.mode, {}, print)
    request = request._replace(config=config)
    built = launch.load(name).build(config, session._inputs(request, origin, {}, SourceLog(print)))
    return built, imported, request


def merged(experiment: Experiment, imported: Imported, request: Any) -> tuple[TrainState, str]:
    """Return the shapes of the state that the weights go into, and what is said of where they went."""
    training = request.flags.mode in FOR_TRAINING
    stage = next(s for s in experiment.stages if s.steps) if training else experiment.stages[-1]
    if training or experiment.sampler is not None:
        assert stage.data is not None
        batch = devices.first_batch(stage.data)
    else:
        assert experiment.presentation is not None
        batch = devices.first_batch(experiment.presentation.data(image_files(request.flags.input or "photos")))
    state = jax.eval_shape(stage.task.init, jax.random.PRNGKey(0), batch)
    return state, describe({"params": state.params, **state.model_state}, imported)


def fewer_images(command: str) -> str:
    """The command with batches of two images, which hold the same parameters."""
    training = "--mode=" not in command
    return f"{command} --batch_size=2" if training and "--init_from=" in command else command


def dear(command: str) -> Any:
    """A command whose network takes seconds to trace, in `make test-long`; a ResNet-50's shapes are merged in both."""
    deep = "maskrcnn" in command or "mask_rcnn" in command or "--head=new" in command
    return pytest.param(command, marks=pytest.mark.long if deep else ())


@pytest.mark.parametrize("command", [*map(dear, COMMANDS)])
def test_a_command_is_accepted(command: str):
    experiment, imported, request = asked(fewer_images(command))
    assert experiment.stages
    if imported:
        assert " parameters taken" in merged(experiment, imported, request)[1]


@pytest.mark.parametrize("command", [*map(dear, TRUNKS)])
def test_a_detector_starts_from_imagenets_weights_as_torchvision_trains_it(command: str):
    experiment, imported, request = asked(f"{command} --batch_size=1 --view.short=64 --view.long=64 --data=coco:coco")
    assert imported is not None
    state, said = merged(experiment, imported, request)
    assert "left out: fc" in said and "23,508,032 parameters taken" in said
    settings = to_dict(request.config)
    assert settings["network.norm"] == "frozen" and settings["network.norm_epsilon"] == 1e-5
    assert settings["network.backbone"] == ("resnet_c4" if "c4" in command else "resnet_fpn")
    kept = re.compile(*settings["optimizer.freeze"])
    backbone = state.params["backbone"]
    frozen = {layer for layer in backbone if kept.search(f"backbone/{layer}/kernel")}
    assert frozen == {"conv1", "bn1", "layer1_0", "layer1_1", "layer1_2"} and "layer2_0" in backbone


def test_a_users_flags_come_before_those_that_fit_the_weights():
    trunk = "--experiment=detection/faster_rcnn --preset=photos --init_from=torchvision:resnet50.pth --data=voc:cells"
    _, _, request = asked(f"{trunk} --network.norm=batch --optimizer.freeze=backbone/conv1")
    assert request.config.network.norm == "batch" and request.config.optimizer.freeze == ("backbone/conv1",)


def test_most_kinds_of_weights_and_data_are_among_the_commands():
    words = " ".join(COMMANDS)
    assert len(COMMANDS) > 50
    for kind in (
        "torchvision:resnet50.pth",
        "darknet:",
        "hed:",
        "workdir:",
        "jaxvision:",
        *(f"--data={k}:" for k in docs_files.MAKERS),
    ):
        assert kind in words, kind


@pytest.mark.long
def test_frozen_layers_of_a_trunk_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two steps of a detector on ImageNet's trunk: the first layers and all batch statistics are the file's."""
    drawn = np.random.default_rng(0)
    small = torchvision.write(docs_files.zeros(docs_files.ResNet(10, 18), 32))[1]
    ones = ("running_var", "bn1.weight", "bn2.weight", "downsample.1.weight")
    tensors = {
        name: (float(name.endswith(ones)) + drawn.normal(0, 0.03, value.shape)).astype(np.float32)
        for name, value in small.items()
    }
    monkeypatch.setattr(state_dict, "read", lambda file: tensors)
    (tmp_path / "resnet18.pth").touch()
    flags = ["--experiment=detection/faster_rcnn", "--smoke", f"--init_from=torchvision:{tmp_path}/resnet18.pth"]
    assert launch.main(["launch.py", *flags, f"--workdir={tmp_path / 'run'}"]) == 0
    monkeypatch.undo()
    trained = load.workdir.read(str(tmp_path / "run")).variables
    file = torchvision.TABLES[[t.name for t in torchvision.TABLES].index("resnet")].read(tensors)
    assert file is not None
    ours = {collection: tree["backbone"] for collection, tree in trained.items() if "backbone" in tree}
    for path, value in file.items():
        layer = path[1]
        if layer in ("conv1", "bn1", "layer1_0", "layer1_1") or path[0] == "batch_stats":
            node: Any = ours
            for name in path:
                node = node[name]
            np.testing.assert_array_equal(node, value, err_msg="/".join(path))
    assert not np.array_equal(
        ours["params"]["layer3_0"]["conv1"]["kernel"], file["params", "layer3_0", "conv1", "kernel"]
    )
