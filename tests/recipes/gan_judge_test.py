"""The classifier that judges a GAN's samples, and the hooks that use it."""

import dataclasses
import json
from pathlib import Path

import jax
import pytest

from experiments.gan import dcgan, joint
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Record, Records, Source
from jaxvision.recipes.backbone import TINY
from jaxvision.recipes.gan import GanSetup, smoke
from jaxvision.recipes.gan_judge import GanJudge, JudgedGanConfig, distrust, with_judge
from jaxvision.train.devices import first_batch
from jaxvision.train.steps import init_state
from jaxvision.train.types import Hook

CONFIG = smoke(JudgedGanConfig(data="digits:count=32", batch_size=16, judge_steps=2))


def setup(*, conditional: bool = False) -> GanSetup:
    inputs = Inputs()
    return GanSetup(inputs.source(CONFIG.data), CONFIG, inputs, conditional)


def test_the_judge_is_put_into_the_gan():
    judge = GanJudge(setup(), 3)
    stage, parts, network = judge.stage(), judge.setup, CONFIG.network
    assert (stage.name, stage.steps, [hook.name for hook in stage.hooks]) == ("judge", 3, ["judge"])
    task = parts.task(network.generator(), network.discriminator(), extract=judge.extractor())
    key, batch = jax.random.PRNGKey(0), first_batch(parts.val())
    state = jax.eval_shape(task.init, key, batch)
    judged = jax.eval_shape(stage.task.init, key, batch)
    same = jax.tree.map(lambda a, b: a.shape == b.shape, with_judge(state, {"judge": judged}).aux, state.aux)
    assert jax.tree.all(same)


def test_every_flag_of_the_judges_network_reaches_it():
    judge = GanJudge(setup(), 3, dataclasses.replace(TINY, remat=True))
    assert judge._network == TINY.make().clone(num_classes=10, remat=True)


def test_labels_are_measured_only_where_they_are_given():
    names = [hook.name for hook in GanJudge(setup(), 3).hooks()]
    assert names[0] == "val" and {"baseline", "samples", "interpolations"} <= set(names)
    assert len(GanJudge(setup(conditional=True), 3).hooks()) == len(names)


class Unlabelled:
    """The images of other records, without labels."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Record:
        return {"image": self.records[index]["image"]}

    def name(self, index: int) -> str:
        return self.records.name(index)


class ImagesAlone(Inputs):
    """Opens every source without its labels, as a set of faces is."""

    def source(self, spec: str, needs: str | None = None) -> Source:
        source = super().source(spec)
        splits = {name: Unlabelled(records) for name, records in source.splits.items()}
        return dataclasses.replace(source, splits=splits, class_names=())


@pytest.mark.parametrize("experiment", [dcgan, joint])
def test_images_without_labels_teach_the_judge_to_tell_turns(experiment, tmp_path: Path):
    stages = experiment.build(experiment.PRESETS["smoke"], ImagesAlone(workdir=tmp_path)).stages
    judge, train = stages
    key, batch = jax.random.PRNGKey(0), first_batch(train.data)
    judged = jax.eval_shape(judge.task.init, key, first_batch(judge.data))
    assert judged.params["answer"]["kernel"].shape[-1] == 4, "angles"
    state = jax.eval_shape(train.task.init, key, batch)
    warm = jax.eval_shape(lambda: train.warm_start(state, {"judge": judged}))
    assert jax.tree.structure(warm) == jax.tree.structure(state)
    outputs = jax.eval_shape(train.task.predict, state, batch | {"z": jax.ShapeDtypeStruct((16, 8), "float32")})
    assert "real_features" in outputs and "probabilities" not in outputs


@pytest.mark.parametrize("class_names", [(), ("all",)])
def test_the_metrics_name_the_judge(class_names: tuple[str, ...]):
    parts = setup()
    assert GanJudge(parts, 3).name == "resnet18"
    without = dataclasses.replace(parts, source=dataclasses.replace(parts.source, class_names=class_names))
    assert GanJudge(without, 3).name == "rotation_resnet18", "of one class there is nothing to learn"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"judge/accuracy": 0.95, "judge/most_frequent": 0.1}, ""),
        ({"judge/accuracy": 0.12, "judge/most_frequent": 0.1}, "right on 0.120 of the held-out images"),
        ({"judge/accuracy": 0.9, "judge/most_frequent": 0.9}, "of which chance is 0.900"),
        ({"judge/accuracy": 1.0, "judge/most_frequent": 1.0}, "of which chance is 1.000"),
        ({"judge/pretext_accuracy": 0.9}, ""),
        ({"judge/pretext_accuracy": 0.26}, "of which chance is 0.250"),
        ({"train/loss": 0.1}, "how well it learned was not measured"),
    ],
)
def test_a_judge_that_learned_nothing_is_not_trusted(row: dict[str, float], said: str):
    reason = distrust([row, {"train/loss": 1.0}], "resnet18")
    assert said in reason and bool(reason) == bool(said)


def test_figures_of_a_judge_that_learned_nothing_are_left_out_and_the_reason_is_given(tmp_path: Path):
    parts = dataclasses.replace(setup(), inputs=Inputs(workdir=tmp_path))
    figures = GanJudge(parts, 3)._trusted(Hook("val", 0, lambda predict, state: {"val/fid_resnet18_running": 1.0}))
    state = init_state(jax.random.PRNGKey(0), {"params": {}}, {})
    for accuracy, keys in ((0.1, {"judge"}), (0.9, {"val/fid_resnet18_running"})):
        row = {"judge/accuracy": accuracy, "judge/most_frequent": 0.1}
        (tmp_path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        assert figures.run(lambda state, batch: {}, state).keys() == keys
