"""What every experiment wires to what: a table of each in tests/wiring, which can be checked against its paper.

An experiment is built with doubles of data, tasks and hooks, so nothing is read, compiled or trained. A setting that a
table does not name yet may be there, whatever a table names must be as it says. After a change that is meant,
`python -m tests.wiring.table --write NAME` writes the table anew; read what has changed in it.
"""

import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import launch
from experiments.detection import rcnn, yolo
from experiments.segmentation import fcn, unpooling
from jaxvision.data.inputs import Inputs
from jaxvision.recipes.gan_judge import with_judge
from jaxvision.train.types import TrainState
from tests.wiring import table
from tests.wiring.doubles import recording

NEW_SETTING = "+     "  # a line that a table does not have, as difflib marks it, with the indentation of a setting


@pytest.fixture(scope="module", autouse=True)
def _doubles() -> Iterator[None]:
    with recording():
        yield


def differences(expected: str, built: str) -> list[str]:
    """Return the lines that are missing or too many, but for new settings."""
    lines = difflib.ndiff(expected.splitlines(), built.splitlines())
    return [line for line in lines if line.startswith(("-", "+")) and not line.startswith(NEW_SETTING)]


@pytest.mark.parametrize("name", launch.experiments())
def test_an_experiment_is_wired_as_its_table_says(name: str):
    assert table.path(name).exists(), f"check `python -m tests.wiring.table {name}` and write it with --write"
    different = differences(table.path(name).read_text(), table.table(name))
    assert not different, "\n".join([f"{name} is wired otherwise (-: the table, +: the experiment)", *different])


def test_every_table_is_of_an_experiment():
    tables = {str(path.relative_to(table.FOLDER).with_suffix("")) for path in table.FOLDER.glob("*/*.txt")}
    assert tables == set(launch.experiments())


def test_a_new_setting_is_no_difference_and_another_value_is_one():
    text = "[paper]\n  data: train\n  task: gan\n    smooth: 0.1\n    prior: uniform\n"
    assert not differences(text, text.replace("    prior", "    penalty: 0\n    prior"))
    assert differences(text, text.replace("0.1", "0.2")) and differences(text, text.replace("    smooth: 0.1\n", ""))
    assert differences(text, text.replace("data: train", "data: val")) and differences(text, text + "  val: train\n")


def state(**params: Any) -> TrainState:
    owner = params.pop("owner", "new")
    return TrainState(np.int32(0), params, {}, {"batch_stats": {"owner": owner}}, {}, np.zeros(2, np.uint32))


def stages(module: Any, preset: str = "quick", **changes: Any) -> dict[str, Any]:
    config = dataclasses.replace(module.PRESETS[preset], **changes)
    return {stage.name: stage for stage in module.build(config, Inputs()).stages}


def test_a_finer_fcn_starts_from_the_coarser_one():
    built = stages(fcn, schedule="staged")
    done = {"fcn32s": state(conv="32s", owner="32s"), "fcn16s": state(conv="16s", skip="16s", owner="16s")}
    second = built["fcn16s"].warm_start(state(conv="new", skip="new"), done)
    assert second.params == {"conv": "32s", "skip": "new"}
    third = built["fcn8s"].warm_start(state(conv="new", skip="new", skip3="new"), done)
    assert third.params == {"conv": "16s", "skip": "16s", "skip3": "new"}
    assert third.model_state["batch_stats"] == {"owner": "16s"} and built["fcn32s"].warm_start is None


def test_rcnn_passes_on_the_fine_tuned_network_and_what_was_fitted():
    built, tuned = stages(rcnn), state(conv="tuned", fc="tuned", owner="tuned")
    network = built["features"].warm_start(state(conv="new"), {"finetune": tuned})
    assert network.params == {"conv": "tuned"} and network.model_state["batch_stats"] == {"owner": "tuned"}
    done = {"features": network, "svm": state(kernel="svm"), "regression": state(kernel="regression")}
    test = built["test"].warm_start(state(), done)
    expected = {"network": {"conv": "tuned"}, "svm": {"kernel": "svm"}, "regression": {"kernel": "regression"}}
    assert test.params == expected and test.model_state["batch_stats"] == {"owner": "tuned"}


def test_rcnns_softmax_is_the_classifier_of_its_fine_tuning():
    built, tuned = stages(rcnn, classifier="softmax"), state(conv="tuned", fc={"kernel": "fc"})
    assert "svm" not in built
    done = {"finetune": tuned, "features": state(conv="tuned"), "regression": state(kernel="regression")}
    done["softmax"] = built["softmax"].warm_start(state(), done)
    assert done["softmax"].params == {"kernel": "fc"}
    assert built["test"].warm_start(state(), done).params["softmax"] == {"kernel": "fc"}


def test_yolo_starts_from_the_convolutions_of_its_pretraining():
    started = stages(yolo)["train"].warm_start
    learned = state(conv="learned", fc="learned")
    detector = dataclasses.replace(state(conv="new", head="new"), model_state={})
    assert started(detector, {"pretrain": learned}).params == {"conv": "learned", "head": "new"}


def test_each_kind_of_unpooling_is_compared_with_its_own_weights():
    built = stages(unpooling)
    kinds = [name.removesuffix("-0-train") for name in built if name != "comparison"]
    done = {f"{kind}-0-train": state(conv=kind, owner=kind) for kind in kinds}
    compared = built["comparison"].warm_start(state(), done).aux
    assert {k: v["params"]["conv"] for k, v in compared.items()} == {kind: kind for kind in kinds}


def test_samples_are_judged_by_the_trained_classifier():
    judged = with_judge(state(), {"judge": state(conv="judge", owner="judge")})
    assert judged.aux["extractor"] == {"params": {"conv": "judge"}, "batch_stats": {"owner": "judge"}}
