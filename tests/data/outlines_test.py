import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.data import outlines
from jaxvision.data.outlines import Outlines, Polygons, Runs
from jaxvision.ops import masks as mask_ops


def read(segmentation: object) -> Polygons | Runs | None:
    """What an annotation of an image of unknown size has, which must be usable."""
    outline, reason = outlines.read_outline(segmentation, (0, 0))
    assert not reason
    return outline


def runs_of(mask: np.ndarray) -> list[int]:
    """Run lengths of a mask, column by column, pixel by pixel."""
    counts, value = [0], False
    for pixel in mask.T.ravel():
        if bool(pixel) != value:
            counts.append(0)
            value = not value
        counts[-1] += 1
    return counts


def compressed(counts: list[int]) -> str:
    """COCO's string: differences to the run before the last, in groups of five bits with a sign and a continuation."""
    text = ""
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr((bits | (32 if more else 0)) + 48)
    return text


def inside(points: np.ndarray, x: float, y: float) -> bool:
    """Even-odd rule for one point, edge by edge."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (y0 <= y) != (y1 <= y):
            crossings += x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x
    return crossings % 2 == 1


def random_masks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (1, 9), (9, 1), (7, 5), (40, 60), (120, 90)]
    some = [rng.random(shape) < share for shape in shapes for share in (0.03, 0.5)]
    return [
        *some,
        np.zeros((6, 4), bool),
        np.ones((6, 4), bool),
        np.pad(np.zeros((80, 80), bool), 30, constant_values=1),
    ]


def test_both_forms_of_run_lengths_are_read():
    for mask in random_masks():
        height, width = mask.shape
        counts = runs_of(mask)
        assert outlines.parse_counts(compressed(counts)).tolist() == counts
        for form in (counts, compressed(counts)):
            shape = read(json.loads(json.dumps({"size": [height, width], "counts": form})))
            np.testing.assert_array_equal(shape.pixels(width, height), mask)


def test_run_lengths_of_another_image_are_refused():
    for shape in (Runs(np.array([6]), 3, 2), Runs(np.array([5]), 4, 2), Runs(np.array([9, -1]), 4, 2)):
        with pytest.raises(ValueError, match="do not fill an image of 4x2"):
            shape.pixels(4, 2)


def test_polygons_are_sampled_at_pixel_centres():
    rng = np.random.default_rng(1)
    for count in (3, 4, 9, 30):
        points = rng.uniform(-4, 20, (count, 2))  # partly outside, and crossing itself
        expected = [[inside(points, c + 0.5, r + 0.5) for c in range(15)] for r in range(12)]
        np.testing.assert_array_equal(outlines.fill(points, 15, 12), expected)


def test_a_box_as_polygon_is_exactly_its_pixels():
    square = np.array([[2, 1], [6, 1], [6, 4], [2, 4]], np.float32)
    for points in (square, square[::-1], np.roll(square, 1, axis=0)):
        mask = outlines.fill(points, 8, 6)
        assert mask[1:4, 2:6].all() and mask.sum() == 12
    assert outlines.fill(square + np.float32(0.4), 8, 6)[1:4, 2:6].all()  # a centre stays inside
    assert not outlines.fill(square + np.float32(0.6), 8, 6)[1].any()
    assert not outlines.fill(square + np.float32(50), 8, 6).any()


def test_parts_are_united_and_holes_come_as_run_lengths():
    left, right = [0, 0, 3, 0, 3, 3, 0, 3], [2, 2, 5, 2, 5, 5, 2, 5]
    both = read([left, right]).pixels(6, 6)
    assert both.sum() == 9 + 9 - 1 and both[2, 2]
    ring = np.ones((6, 6), bool)
    ring[2:4, 2:4] = False
    np.testing.assert_array_equal(read({"size": [6, 6], "counts": runs_of(ring)}).pixels(6, 6), ring)


def test_what_encloses_nothing_is_no_mask():
    for segmentation in (None, [], [[1, 1, 5, 5]], [[]], {}):
        assert read(segmentation) is None
    shape = read([[1, 1, 5, 5], [0, 0, 4, 0, 4, 4]])
    assert isinstance(shape, Polygons) and len(shape.parts) == 1
    assert read([0, 0, 4, 0, 4, 4]).pixels(4, 4).any()  # some tools leave the outer list out


def test_outlines_draw_select_and_know_what_is_missing():
    square = Polygons((np.array([[1, 1], [3, 1], [3, 3], [1, 3]], np.float32),))
    drawn = Outlines((square, None, Runs(np.array([0, 24]), 6, 4)), 6, 4)
    assert len(drawn) == 3 and drawn.known.tolist() == [True, False, True]
    assert drawn.pixels().sum(axis=(1, 2)).tolist() == [4, 0, 24]
    assert drawn.select(np.array([False, True, True])).known.tolist() == [False, True]
    assert Outlines((), 6, 4).pixels().shape == (0, 4, 6)
    crops = outlines.crops(drawn, np.array([[0, 0, 6, 4]] * 3, np.float32), 12)
    assert crops.shape == (3, 12, 12) and crops[1].max() == 0 and crops[2].min() == 255
    np.testing.assert_array_equal(crops[0, ::3, ::2] > 0, drawn.pixels()[0])


def test_crops_of_full_masks_are_those_of_the_ops():
    rng = np.random.default_rng(2)
    masks = rng.random((5, 20, 30)) < 0.5
    boxes = np.array(
        [[0, 0, 30, 20], [3.3, 2.7, 9.1, 18.4], [29, 19, 30, 20], [0, 0, 0.5, 0.5], [4, 4, 5, 6]], np.float32
    )
    ours = outlines.crops(masks, boxes, 14)
    theirs = mask_ops.crop(jnp.asarray(masks, jnp.float32), jnp.asarray(boxes), 14)
    assert ours.dtype == np.uint8
    np.testing.assert_allclose(ours / 255, theirs, atol=0.0021)


def test_a_polygons_crop_agrees_with_its_pixels():
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    points = np.stack([100 + 70 * np.cos(angle), 80 + 50 * np.sin(angle) * np.cos(angle / 3)], axis=1)
    box = np.array([[*points.min(axis=0), *points.max(axis=0)]], np.float32)
    lazy = Outlines((Polygons((points,)),), 200, 160)
    direct, sampled = lazy.crops(box, 56)[0], outlines.crops(lazy.pixels(), box, 56)[0]
    assert np.mean((direct >= 128) != (sampled >= 128)) < 0.01


def test_a_crop_at_the_masks_own_resolution_is_its_pixels():
    masks = np.random.default_rng(4).random((2, 40, 80)) < 0.5
    boxes = np.array([[0, 0, 80, 40], [16, 8, 32, 24]], np.float32)
    crops = outlines.crops(masks, boxes, 16)
    np.testing.assert_array_equal(crops[1] == 255, masks[1, 8:24, 16:32])


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own, of NumPy
def test_pycocotools_reads_the_same():
    coco = pytest.importorskip("pycocotools.mask")
    for mask in random_masks():
        encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        text = encoded["counts"].decode()
        assert text == compressed(runs_of(mask))
        np.testing.assert_array_equal(read({**encoded, "counts": text}).pixels(*mask.shape[::-1]), mask)
    rng = np.random.default_rng(3)
    for _ in range(20):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 25))
        radius = rng.uniform(25, 45, (25, 1))
        points = 50 + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        theirs = coco.decode(coco.frPyObjects([points.ravel().tolist()], 100, 100))[..., 0].astype(bool)
        ours = outlines.fill(points, 100, 100)
        # Theirs rounds to a grid of fifths: it differs only in pixels that have the outline beside them.
        around = np.stack([np.roll(ours, (r, c), (0, 1)) for r in (-1, 0, 1) for c in (-1, 0, 1)])
        assert not (ours != theirs)[around.all(axis=0) | ~around.any(axis=0)].any()
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.95
