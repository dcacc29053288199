"""The Fréchet distance between generated and real images (Heusel et al. 2017), accumulated in float64.

Outputs hold "features" [B, F] of the samples and "real_features" [B, F]; a batch holds "_mask" bool [B], true for the
rows that are examples and not padding.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from jaxvision.evals.feature_sets import read
from jaxvision.train.types import Metric, Result


@dataclasses.dataclass(frozen=True)
class Moments:
    """Sums over the examples of S sets of features, equally many in each. The moments of a union are a sum.

    Squares are those of differences from the mean: a large mean then costs the variances no digits.
    """

    count: int
    mean: Float[np.ndarray, "S F"]
    squares: Float[np.ndarray, "S F F"]

    def __add__(self, other: "Moments") -> "Moments":
        if not self.count or not other.count:
            return self if self.count else other
        count, apart = self.count + other.count, other.mean - self.mean
        between = apart[:, :, None] * apart[:, None, :] * (self.count * other.count / count)
        return Moments(count, self.mean + apart * (other.count / count), self.squares + other.squares + between)

    @classmethod
    def of(cls, sets: Float[np.ndarray, "S N F"]) -> "Moments":
        """Return the moments of N examples, at least one."""
        mean = sets.mean(axis=1, dtype=np.float64)
        apart = sets - mean[:, None]
        return cls(sets.shape[1], mean, apart.transpose(0, 2, 1) @ apart)


def frechet(extractor: str) -> Metric:
    """Measure {"fid_<extractor>"}, the distance of the samples' features from the real ones', each taken as a Gaussian.

    `extractor` names the network, its weights and its resizing, without which no two values can be compared. The bias
    is upward and falls with the number of examples: below 50 000 say how many there were. ValueError: fewer than two.

    Example:
        >>> metric, rows = frechet("pixels"), np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
        >>> outputs = {"features": rows + 3, "real_features": rows}
        >>> state = metric.update(metric.init(), outputs, {"_mask": np.ones(8, bool)})
        >>> round(metric.result(state)["fid_pixels"], 2)  # the mean moves by 3 in each of four features
        36.0
    """

    def update(state: Moments, outputs: Mapping, batch: Mapping) -> Moments:
        fake, real = read(outputs, batch)
        return state + Moments.of(np.stack([fake, real])) if len(fake) else state

    def result(state: Moments) -> Result:
        if state.count < 2:
            raise ValueError(f"frechet: {state.count} examples have no covariance; check --data, give at least 2")
        covariances = state.squares / (state.count - 1)
        return {f"fid_{extractor}": frechet_distance(state.mean[0], covariances[0], state.mean[1], covariances[1])}

    return Metric(lambda: Moments(0, np.zeros((2, 0)), np.zeros((2, 0, 0))), update, result)


def frechet_distance(
    mean: Float[np.ndarray, " F"],
    covariance: Float[np.ndarray, "F F"],
    other_mean: Float[np.ndarray, " F"],
    other_covariance: Float[np.ndarray, "F F"],
) -> float:
    """Compute the Fréchet distance of two Gaussians (Dowson & Landau 1982, equation 16).

    Args:
        mean: μ₁.
        covariance: Σ₁.
        other_mean: μ₂.
        other_covariance: Σ₂.

    Returns:
        ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½), at least 0.

    Example:
        >>> frechet_distance(np.zeros(2), np.eye(2), np.array([3.0, 4.0]), np.eye(2))
        25.0
    """
    # With Σ = LLᵀ the eigenvalues of Σ₁Σ₂ are the squared singular values of L₁ᵀL₂. Roots of eigenvalues that are 0
    # but for rounding would each be off by 1e-8; singular values are not.
    shared = np.linalg.norm(_factor(covariance).T @ _factor(other_covariance), "nuc")
    distance = np.sum(np.square(mean - other_mean)) + np.trace(covariance) + np.trace(other_covariance) - 2.0 * shared
    return max(float(distance), 0.0)


def _factor(covariance: Float[np.ndarray, "F F"]) -> Float[np.ndarray, "F F"]:
    """L with LLᵀ = Σ, which unlike a Cholesky factor exists for any rank."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))[None, :]
