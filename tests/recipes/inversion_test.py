"""The images that are inverted, and the stages that do it."""

import dataclasses

import jax
import pytest

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.dissection import Dissect, DissectionSetup, concept_source
from jaxvision.recipes.gan import smoke
from jaxvision.recipes.inversion import InversionConfig, InversionSetup
from jaxvision.tasks.inversion import STAGES
from jaxvision.train.devices import first_batch

CONFIG = smoke(InversionConfig(data="scenes:count=16,size=32", batch_size=4, dissect=Dissect(width=1 / 16, levels=2)))


def setup() -> InversionSetup:
    inputs = Inputs()
    return InversionSetup(DissectionSetup(concept_source(CONFIG, inputs), CONFIG, inputs), CONFIG)


def test_every_second_image_is_generated_and_a_batch_holds_them_all():
    encoder = setup().encoder()
    stage = setup().search("latent", 3, CONFIG.invert.latent, encoder, restarts=2)
    assert (encoder.name, stage.name, stage.steps) == ("encoder", "latent", 3)
    batch = first_batch(stage.data)
    assert sorted(batch["index"].tolist()) == [0, 1, 2, 3]
    assert (batch["generated"] == (batch["index"] % 2 == 0)).all()


def test_the_edited_stage_has_room_for_the_units_of_each_concept():
    parts = setup()
    dissected = parts.dissection.dissection()
    last = parts.edited(parts.search("tuned", 1, CONFIG.invert.weights, parts.encoder()), dissected)
    assert last.name == STAGES[-1] and [hook.name for hook in last.hooks] == ["inversion", "inversion"]
    batch = {**first_batch(parts.dissection.data("val")), **first_batch(last.data)}
    state = jax.eval_shape(last.task.init, jax.random.PRNGKey(0), batch)
    alpha = jax.eval_shape(dissected.task.init, jax.random.PRNGKey(0), batch).params["alpha"]
    assert {name: units.shape for name, units in state.aux["units"].items()} == {
        "alpha": alpha.shape,
        "values": alpha.shape,
    }


def test_fewer_held_out_images_than_a_batch_are_refused():
    config, inputs = dataclasses.replace(CONFIG, batch_size=64), Inputs()
    parts = InversionSetup(DissectionSetup(concept_source(config, inputs), config, inputs), config)
    with pytest.raises(ValueError, match="--batch_size=64: there are . held-out images to invert; give at most"):
        parts.search("latent", 3, config.invert.latent, setup().encoder(), restarts=2)
