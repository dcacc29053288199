"""Features as rows, and their maps."""

import numpy as np
import pytest

from jaxvision.evals.embedding import directions, embeddings, pca, tsne

RNG = np.random.default_rng(0)


def batch(labels: list[int], mask: list[bool]) -> tuple[dict, dict]:
    rows = np.array(labels, np.float32)[:, None]
    image = np.array(labels, np.uint8)[:, None, None, None].repeat(3, 3)
    return {"features": np.concatenate([rows, -rows], 1)}, {
        "label": np.array(labels, np.int32),
        "image": image,
        "_mask": np.array(mask),
    }


@pytest.mark.parametrize("images", [False, True])
def test_every_real_row_is_kept_once_in_order(images: bool):
    metric = embeddings(images=images)
    one = metric.update(metric.init(), *batch([3, 1], [True, True]))
    other = metric.update(metric.init(), *batch([2, 9], [True, False]))
    embedded = metric.result(metric.merge(one, other))["embedded"]
    assert embedded.labels.tolist() == [3, 1, 2]
    np.testing.assert_array_equal(embedded.features, [[3, -3], [1, -1], [2, -2]])
    assert (embedded.images is not None) == images
    if images:
        assert embedded.images[:, 0, 0, 0].tolist() == [3, 1, 2]


def test_what_is_not_finite_or_not_there_is_an_error():
    metric = embeddings()
    outputs, rows = batch([1], [True])
    with pytest.raises(ValueError, match="not finite"):
        metric.update(metric.init(), {"features": outputs["features"] * np.nan}, rows)
    with pytest.raises(ValueError, match="no examples"):
        metric.result(metric.init())


def test_directions_have_length_one():
    rows = directions(np.array([[3, 4], [0, 0]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]])


def test_pca_finds_the_long_axis_and_says_how_much_it_holds():
    along = np.outer(RNG.normal(size=50), [3.0, 4.0, 0.0]) + RNG.normal(0, 0.01, (50, 3))
    places, shares = pca(along.astype(np.float32))
    assert places.shape == (50, 2) and shares[0] > 0.999
    np.testing.assert_allclose(np.abs(np.corrcoef(places[:, 0], along[:, 0])[0, 1]), 1, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 4), (6, 1), (6, 4)])
def test_pca_of_rows_without_variance_is_a_point(shape: tuple[int, int]):
    places, shares = pca(np.ones(shape, np.float32))
    assert places.shape == (shape[0], 2) and np.all(places == 0) and np.all(shares == 0)


@pytest.mark.parametrize("count", [6, 90])
def test_tsne_keeps_clusters_apart_and_is_the_same_again(count: int):
    centers = 5.0 * np.eye(3, 8)
    labels = np.arange(count) % 3
    rows = (centers[labels] + RNG.normal(0, 0.1, (count, 8))).astype(np.float32)
    places = tsne(rows)
    np.testing.assert_array_equal(places, tsne(rows))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e9 * np.eye(count)
    if count == 90:
        np.testing.assert_array_equal(labels[distances.argmin(1)], labels)
    assert places.shape == (count, 2) and np.isfinite(places).all()


def test_three_examples_make_no_map():
    with pytest.raises(ValueError, match="at least 4"):
        tsne(np.eye(3, dtype=np.float32))
