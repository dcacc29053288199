"""The parts of a contrastive experiment: views, data of the chosen splits, and hooks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.ssl import moco, simclr
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Record, Source
from jaxvision.recipes.two_views import SMOKE, ContrastiveConfig, ContrastiveSetup, ContrastiveView
from jaxvision.train.steps import nothing

CONFIG = ContrastiveConfig(**SMOKE)
IMAGES = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 24, 24, 3)), jnp.float32)
KEYS = jax.random.split(jax.random.PRNGKey(0), 2)
STILL = ContrastiveView(area=(1.0, 1.0), jitter_probability=0.0, grayscale=0.0)


def setup(**fields: object) -> ContrastiveSetup:
    config = dataclasses.replace(CONFIG, **fields)
    return ContrastiveSetup(Inputs().source(config.data), config, Inputs())


@pytest.mark.parametrize(("field", "values"), [("area", (0.2,)), ("jitter", (0.4, 0.4, 0.4))], ids=str)
def test_a_view_with_too_few_numbers_is_refused_by_the_flag_s_name(field: str, values: tuple[float, ...]):
    with pytest.raises(ValueError, match=rf"--view\.{field} is .*: give \d numbers"):
        ContrastiveView(**{field: values})


def test_a_view_without_colour_changes_keeps_them_and_gray_has_none():
    flat = jnp.broadcast_to(jnp.asarray([0.2, 0.5, 0.8]), IMAGES.shape)
    np.testing.assert_allclose(STILL.make(16)(KEYS, flat), flat[:, :16, :16], atol=1e-5)
    gray = dataclasses.replace(STILL, grayscale=1.0).make(16)(KEYS, IMAGES)
    assert gray.shape == (2, 16, 16, 3)
    assert float(jnp.ptp(gray, axis=-1).max()) < 1e-5


def test_a_mirrored_view_is_the_other_s_mirror_image():
    view, mirrored = (dataclasses.replace(STILL, flip=flip).make(16)(KEYS, IMAGES) for flip in (0.0, 1.0))
    np.testing.assert_allclose(mirrored, view[:, :, ::-1], atol=1e-5)


def test_blur_takes_contrast_away():
    sharp, blurred = (dataclasses.replace(STILL, blur=blur).make(24)(KEYS, IMAGES) for blur in (0.0, 1.0))
    assert float(blurred.std()) < float(sharp.std())


def test_data_are_the_squares_of_the_chosen_splits():
    parts = setup(train_split="train[:90%]", val_split="train[90%:]", source_size=20)
    data = parts.train()(0, 1)
    assert next(data)["image"].shape == (8, 20, 20, 3)
    assert data.get_state()["records"] == len(parts.source["train[:90%]"])
    held_out = sum(int(batch["_mask"].sum()) for batch in parts.val()(0, 1))
    assert held_out == len(parts.source["train[90%:]"])


class Wide:
    """Photographs three times as wide as high, black but for the outer thirds, which no central square shows."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Record:
        image = np.zeros((20, 60, 3), np.uint8)
        image[:, :20], image[:, 40:] = (255, 0, 0), (0, 0, 255)
        return {"image": image, "label": 0}

    def name(self, index: int) -> str:
        return f"wide {index}"


def photographs() -> Source:
    return Source({"train": Wide(), "val": Wide()}, ("a", "b"))


def test_views_of_photographs_show_all_of_them():
    config = dataclasses.replace(CONFIG, source_size=0, batch_size=4, view=ContrastiveView(area=(0.2, 1.0)))
    parts = ContrastiveSetup(photographs(), config, Inputs())
    data = parts.train()(0, 1)
    batches = [next(data) for _ in range(8)]
    for key in ("image", "second"):
        seen = np.concatenate([batch[key] for batch in batches]).reshape(-1, 3)
        assert batches[0][key].shape == (4, 16, 16, 3) and seen[:, 0].max() > 200 and seen[:, 2].max() > 200
    assert not np.array_equal(batches[0]["image"], batches[0]["second"])
    square = dataclasses.replace(config, source_size=20)
    assert next(ContrastiveSetup(photographs(), square, Inputs()).train()(0, 1))["image"].max() == 0
    keys = jax.random.split(jax.random.PRNGKey(0), 4)
    colourless = dataclasses.replace(STILL, flip=0.0)
    alone = dataclasses.replace(parts, config=dataclasses.replace(config, view=colourless)).augmentation()
    pixels = jnp.asarray(batches[0]["image"], jnp.float32) / 255.0
    np.testing.assert_array_equal(alone(keys, pixels), pixels)  # nothing is cut a second time


def test_the_papers_presets_cut_views_out_of_whole_photographs():
    for experiment in (simclr, moco):
        config = experiment.PRESETS["paper"]
        assert (config.source_size, config.image_size) == (0, 224)
    assert ContrastiveSetup(photographs(), config, Inputs())._square().keywords == {"size": 224, "shorter": 256}


def test_a_picture_shows_the_two_views_of_photographs():
    config = dataclasses.replace(CONFIG, source_size=0, batch_size=4)
    views = ContrastiveSetup(photographs(), config, Inputs()).hooks()[-1]
    picture = views.run(lambda state, batch: {}, nothing().init(jax.random.PRNGKey(0), {}))["views"]
    assert picture.dtype == np.uint8 and picture.shape[2] == 3


def test_hooks_are_the_accuracy_of_neighbours_and_a_picture_of_views():
    neighbours, views = setup(eval_every=7).hooks()
    assert (neighbours.name, neighbours.every, views.name, views.every) == ("knn", 7, "views", 0)
    state = nothing().init(jax.random.PRNGKey(0), {})
    labels = iter(np.eye(10, dtype=np.float32) for _ in range(1000))
    result = neighbours.run(lambda state, batch: {"features": next(labels)[np.asarray(batch["label"])]}, state)
    assert result == {"knn/accuracy": 1.0}  # features that are the labels
    picture = views.run(lambda state, batch: {}, state)["views"]
    assert picture.dtype == np.uint8 and picture.shape[2] == 3


def test_images_without_labels_have_no_accuracy_of_neighbours():
    labelled = setup()
    alone = dataclasses.replace(labelled, source=dataclasses.replace(labelled.source, class_names=()))
    assert [hook.name for hook in labelled.hooks()] == ["knn", "views"]
    assert [hook.name for hook in alone.hooks()] == ["views"]
