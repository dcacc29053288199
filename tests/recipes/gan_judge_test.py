"""The classifier that judges a GAN's samples, and the hooks that use it."""

import jax

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.gan import GanSetup, smoke
from jaxvision.recipes.gan_judge import GanJudge, JudgedGanConfig, with_judge
from jaxvision.train.devices import first_batch

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


def test_labels_are_measured_only_where_they_are_given():
    names = [hook.name for hook in GanJudge(setup(), 3).hooks()]
    assert names[0] == "val" and {"baseline", "samples", "interpolations"} <= set(names)
    assert len(GanJudge(setup(conditional=True), 3).hooks()) == len(names)
