"""Images of shades, and the data and stages of a dissection."""

import dataclasses

import numpy as np
import pytest

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.dissection import Dissect, DissectionConfig, DissectionSetup, concept_source, shaded
from jaxvision.recipes.gan import smoke
from jaxvision.train.devices import first_batch

CONFIG = smoke(DissectionConfig(data="scenes:count=16,size=32", batch_size=4, dissect=Dissect(width=1 / 16, levels=2)))


def setup(config: DissectionConfig = CONFIG) -> DissectionSetup:
    inputs = Inputs()
    return DissectionSetup(concept_source(config, inputs), config, inputs)


def test_objects_are_darker_or_brighter_than_the_background():
    image = np.full((2, 3, 3), 100, np.uint8)
    image[0, 0], image[0, 1] = 20, 220
    labels = np.array([[5, 7, 255], [0, 0, 0]], np.uint8)
    record = shaded({"image": image, "label_map": labels}, np.random.default_rng(0))
    np.testing.assert_array_equal(record["label_map"], [[1, 2, 255], [0, 0, 0]])
    assert (record["image"] == record["image"][..., :1]).all()


def test_concepts_are_shades_or_the_classes_of_the_data():
    assert setup().concepts == (1, 2) and setup().source.class_names[1:] == ("dark", "bright")
    classes = setup(dataclasses.replace(CONFIG, dissect=Dissect("classes")))
    assert classes.concepts == tuple(range(classes.source.num_classes))


def test_images_have_label_maps_and_latents():
    for split in ("train", "val[:50%]"):
        batch = first_batch(setup().data(split))
        assert batch["image"].shape == (4, 32, 32, 3) and batch["label_map"].shape == (4, 32, 32)
        assert batch["z"].shape == (4, CONFIG.network.latent_dim)


def test_stages_have_the_steps_of_their_settings():
    parts = setup()
    stages = parts.players(), parts.segmenter(), parts.dissection()
    assert [stage.name for stage in stages] == ["players", "segmenter", "dissection"]
    assert [stage.steps for stage in stages] == [2, CONFIG.dissect.segmenter_steps, CONFIG.dissect.alpha_steps]


def test_flags_of_a_judged_gan_are_refused():
    for wrong in ({"flip": True}, {"judged_split": "train"}):
        with pytest.raises(ValueError, match="--flip and --judged_split: a GAN that is dissected"):
            setup(dataclasses.replace(CONFIG, **wrong)).players()
