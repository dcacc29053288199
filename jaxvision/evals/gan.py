"""Metrics of a generator's samples alone: scores by a classifier, modes covered, and a baseline of blurred noise.

A batch holds "_mask" bool [B], true for the rows that are examples and not padding; each row has one sample. Distances
between samples and real examples are in `evals.frechet` and `evals.feature_sets`.
"""

import zlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int, UInt8

from jaxvision.evals.classification import accuracy, refuse_empty
from jaxvision.train.types import Batch, Hook, Metric, Predict, PyTree, Result, TrainState

_BLUR = 1 / 16  # standard deviation of the baseline's blur, as a part of the image's longer side


def inception_score(extractor: str) -> Metric:
    """Measure {"inception_score_<extractor>"}, exp E KL(p(y|x) ‖ p(y)) of the probabilities, from 1 to K.

    The classifier's `outputs["probabilities"]` are `[B, K]`. The score is high if each sample surely belongs to some
    class and the classes are equally frequent. It is taken over all samples at once (Salimans et al. 2016, section 4,
    averages ten parts, which is lower). `extractor` names the classifier.

    Example:
        >>> metric = inception_score("digits")
        >>> state = metric.update(metric.init(), {"probabilities": np.eye(3)}, {"_mask": np.ones(3, bool)})
        >>> round(metric.result(state)["inception_score_digits"], 3)  # sure, and even over three classes
        3.0
    """

    def update(state: Float[np.ndarray, " n"], outputs: Mapping, batch: Mapping) -> Float[np.ndarray, " m"]:
        rows = np.asarray(outputs["probabilities"])[np.asarray(batch["_mask"], bool)].astype(np.float64)
        return state + np.array([len(rows), _x_log_x(rows).sum(), *rows.sum(axis=0)])

    def result(state: Float[np.ndarray, " n"]) -> Result:
        count = state[0]
        refuse_empty("inception_score", count)
        information = state[1] / count - _x_log_x(state[2:] / count).sum()
        return {f"inception_score_{extractor}": float(np.exp(information))}

    return Metric(lambda: np.zeros(1), update, result)  # which numpy adds to sums over any number of classes


def class_accuracy() -> Metric:
    """Measure {"conditional_accuracy"}, the share of samples that a classifier assigns to the class that was asked for.

    The classifier's `outputs["probabilities"]` `[B, K]` are compared with `batch["label"]` `[B]`.
    """
    inner = accuracy((1,))
    return inner._replace(result=lambda state: {"conditional_accuracy": inner.result(state)["accuracy"]})


def modes(means: Float[np.ndarray, "M D"], sigma: float) -> Metric:
    """Compare samples that are points, `outputs["samples"]` `[B, D]`, with a mixture of equal Gaussians.

    Keys: "within_3_sigma", the share of samples no farther than 3 `sigma` from their nearest mean (of the mixture
        itself, in the plane, 0.989); "modes_covered", the number of means with such a sample (Srivastava et al. 2017,
        section 4.1); "rarest_mode", the share of the samples at the mean with the fewest, times the number of means: 1
        is even.
    """

    def update(state: Int[np.ndarray, " n"], outputs: Mapping, batch: Mapping) -> Int[np.ndarray, " n"]:
        points = np.asarray(outputs["samples"])[np.asarray(batch["_mask"], bool)].astype(np.float64)
        distances = np.linalg.norm(points[:, None] - means[None].astype(np.float64), axis=2)
        near = distances.min(axis=1, initial=np.inf) <= 3.0 * sigma
        return state + np.array([len(points), *np.bincount(distances.argmin(axis=1)[near], minlength=len(means))])

    def result(state: Int[np.ndarray, " n"]) -> Result:
        count, each = int(state[0]), state[1:]
        refuse_empty("modes", count)
        return {
            "within_3_sigma": float(each.sum() / count),
            "modes_covered": float(np.sum(each > 0)),
            "rarest_mode": float(each.min() / count * len(each)),
        }

    return Metric(lambda: np.zeros(len(means) + 1, np.int64), update, result)


def of_blurred_noise(hook: Hook) -> Hook:
    """Turn an evaluation into that of a generator that only draws blurred noise: a baseline on the same real images.

        baseline = of_blurred_noise(evaluate((frechet("lenet"),), data, name="baseline"))

    For metrics of outputs["features"]. The noise is given to `predict` in place of batch["image"], as if it were real,
    so it is seen by the same extractor and nothing is compiled again.
    """

    def run(predict: Predict, state: TrainState) -> Result:
        def predict_noise(state: TrainState, batch: Batch) -> PyTree:
            noise = predict(state, {**batch, "image": blurred_noise(np.asarray(batch["image"]))})
            return {**predict(state, batch), "features": noise["real_features"]}

        return hook.run(predict_noise, state)

    return hook._replace(run=run)


def blurred_noise(images: UInt8[np.ndarray, "B H W C"]) -> UInt8[np.ndarray, "B H W C"]:
    """Return for each image a pattern of blurred noise with that image's mean and spread in each channel.

    The pattern is seeded by the image, so that it depends neither on the batch nor on the process.
    """
    patterns = [_pattern(zlib.crc32(image.tobytes()), image.shape[:2]) for image in images]
    noise = np.reshape(patterns, (*images.shape[:3], 1))
    mean, spread = (moment(images, axis=(1, 2), keepdims=True) for moment in (np.mean, np.std))
    return np.rint(np.clip(mean + spread * noise, 0.0, 255.0)).astype(np.uint8)


def _pattern(seed: int, shape: tuple[int, ...]) -> Float[np.ndarray, "H W"]:
    """Mean 0 and standard deviation 1, but for an image of one pixel."""
    from scipy import ndimage  # takes a while, which whoever imports jaxvision.evals need not wait

    noise = np.random.default_rng(seed).standard_normal(shape)
    blurred = ndimage.gaussian_filter(noise, _BLUR * max(shape), mode="wrap")
    blurred -= blurred.mean()
    return blurred / max(blurred.std(), np.finfo(np.float64).tiny)


def _x_log_x(x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """x·log x, in nats, and 0 at 0."""
    return x * np.log(np.where(x > 0.0, x, 1.0))
