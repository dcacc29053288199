import numpy as np
import pytest

from jaxvision.evals.frechet import frechet
from jaxvision.evals.gan import blurred_noise, class_accuracy, inception_score, modes, of_blurred_noise
from jaxvision.train.types import Hook, TrainState

RNG = np.random.default_rng(0)


def state_of(metric, outputs: dict, batch: dict):
    return metric.update(metric.init(), outputs, batch)


def score_of(rows: np.ndarray) -> float:
    metric = inception_score("x")
    return metric.result(state_of(metric, {"probabilities": rows}, {"_mask": np.ones(len(rows), bool)}))[
        "inception_score_x"
    ]


def test_inception_score_in_closed_form():
    assert score_of(np.eye(5)) == pytest.approx(5.0)  # sure, and all classes
    assert score_of(np.full((4, 5), 0.2)) == pytest.approx(1.0)  # never sure
    assert score_of(np.eye(5)[[2, 2, 2]]) == pytest.approx(1.0)  # sure, but one class


def test_inception_score_equals_the_definition():
    rows = RNG.dirichlet(np.full(4, 0.3), 50)
    divergence = np.sum(rows * np.log(rows / rows.mean(axis=0)), axis=1)
    assert score_of(rows) == pytest.approx(np.exp(divergence.mean()), rel=1e-12)


@pytest.mark.parametrize(
    ("metric", "name", "value"),
    [
        (inception_score("x"), "probabilities", RNG.dirichlet(np.ones(3), 6)),
        (modes(np.zeros((3, 2)), 1.0), "samples", RNG.normal(size=(6, 2))),
        (class_accuracy(), "probabilities", RNG.dirichlet(np.ones(3), 6)),
    ],
    ids=["inception_score", "modes", "class_accuracy"],
)
def test_states_add_up_and_padding_does_not_count(metric, name, value):
    labels, mask = np.arange(6) % 3, np.array([True, True, False, True, True, False])
    start = metric.init()
    whole = metric.update(start, {name: value[mask]}, {"label": labels[mask], "_mask": np.ones(4, bool)})
    halves = [
        metric.update(start, {name: value[rows]}, {"label": labels[rows], "_mask": mask[rows]})
        for rows in (slice(3), slice(3, 6))
    ]
    assert not start.any()
    merged = metric.merge(start, metric.merge(*halves))
    np.testing.assert_allclose(merged, whole, rtol=1e-14)
    assert metric.result(merged) == pytest.approx(metric.result(whole))
    with pytest.raises(ValueError, match="no examples"):
        metric.result(start)


def test_conditional_samples_are_what_was_asked_for():
    outputs = {"probabilities": np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), "logits": np.zeros((3, 2))}
    batch = {"label": np.array([0, 1, 1]), "_mask": np.ones(3, bool)}
    metric = class_accuracy()
    assert metric.result(state_of(metric, outputs, batch)) == {"conditional_accuracy": pytest.approx(2 / 3)}


def test_modes_by_hand():
    """Mean 0 has three samples, mean 1 one, at just 3 sigma; mean 2 has one that is too far, and one is nowhere."""
    means = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, -1.0], [10.0, 1.5], [0.0, 11.6], [np.nan, 0.0]])
    metric = modes(means, sigma=0.5)
    got = metric.result(state_of(metric, {"samples": points}, {"_mask": np.ones(6, bool)}))
    assert got == {"within_3_sigma": pytest.approx(4 / 6), "modes_covered": 2.0, "rarest_mode": 0.0}


def test_the_mixture_itself_covers_its_modes():
    angles = np.arange(8) * np.pi / 4
    means = 2.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.tile(means, (500, 1)) + 0.02 * RNG.standard_normal((4000, 2))
    metric = modes(means.astype(np.float32), 0.02)
    got = metric.result(state_of(metric, {"samples": points.astype(np.float32)}, {"_mask": np.ones(4000, bool)}))
    assert got["modes_covered"] == 8
    assert got["within_3_sigma"] == pytest.approx(1 - np.exp(-4.5), abs=0.007)
    assert got["rarest_mode"] > 0.95


@pytest.mark.parametrize("channels", [1, 3])
def test_blurred_noise_has_the_mean_and_spread_of_each_image(channels):
    images = RNG.integers(60, 200, (3, 32, 32, channels)).astype(np.uint8)
    noise = blurred_noise(images)
    assert noise.shape == images.shape and noise.dtype == np.uint8
    np.testing.assert_allclose(noise.mean(axis=(1, 2)), images.mean(axis=(1, 2)), atol=1.0)
    np.testing.assert_allclose(noise.std(axis=(1, 2)), images.std(axis=(1, 2)), rtol=0.05)
    steps = [np.abs(np.diff(x.astype(float), axis=1)).mean() for x in (noise, images)]
    assert steps[0] < steps[1] / 3, "it is not blurred"


def test_blurred_noise_belongs_to_the_image():
    images = RNG.integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    noise = blurred_noise(images)
    np.testing.assert_array_equal(blurred_noise(images[2:])[0], noise[2])
    assert len(np.unique(noise.reshape(4, -1), axis=0)) == 4
    grey = images[..., :1].repeat(3, axis=3)
    assert np.all(np.ptp(blurred_noise(grey), axis=3) == 0)
    np.testing.assert_array_equal(blurred_noise(np.full((1, 4, 4, 3), 7, np.uint8)), 7)


def test_the_baseline_is_the_metric_of_noise_in_the_samples_place():
    images = RNG.integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    metric, batch = frechet("means"), {"image": images, "_mask": np.arange(6) < 5}
    state = TrainState(*[np.zeros(())] * 6)

    def look(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1)[:, :2].astype(np.float32)

    def predict(state, batch):
        return {"features": np.zeros((6, 2), np.float32), "real_features": look(batch["image"])}

    hook = Hook("evaluate", 7, lambda predict, state: metric.result(state_of(metric, predict(state, batch), batch)))
    noise = {"features": look(blurred_noise(images)), "real_features": look(images)}
    baseline = of_blurred_noise(hook)
    assert (baseline.name, baseline.every) == ("evaluate", 7)
    assert baseline.run(predict, state) == metric.result(state_of(metric, noise, batch))
    assert baseline.run(predict, state) != hook.run(predict, state)
