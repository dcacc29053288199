import io
import math
import pickle

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import crops, decode

RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 256, (50, 70, 3), dtype=np.uint8)
RECORD = {"image": IMAGE, "label": 4, "boxes": np.zeros((1, 4), np.float32)}
ALL = [
    crops.inception_crop(24),
    crops.scale_jitter(24, 24, 48),
    crops.crop_pad(24, 4),
    crops.center_crop(24),
    crops.center_crop(24, resize=24),
]


@pytest.mark.parametrize("transform", ALL)
def test_crops_keep_only_a_square_image_and_the_label(transform):
    for height, width in ((50, 70), (70, 50), (24, 24), (8, 8), (1, 300), (300, 1)):
        record = {**RECORD, "image": RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)}
        for seed in range(4):
            out = transform(record, np.random.default_rng(seed))
            assert out.keys() == {"image", "label"} and out["label"] == 4
            assert out["image"].shape == (24, 24, 3) and out["image"].dtype == np.uint8
    assert transform({"image": IMAGE}, np.random.default_rng(0)).keys() == {"image"}


@pytest.mark.parametrize("transform", ALL)
def test_crops_are_functions_of_the_generator_and_can_be_pickled(transform):
    first = transform(RECORD, np.random.default_rng(5))["image"]
    again = pickle.loads(pickle.dumps(transform))(RECORD, np.random.default_rng(5))["image"]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(RECORD["image"], IMAGE)


@pytest.mark.parametrize("transform", ALL)
def test_encoded_images_give_the_same_crops(transform):
    stream = io.BytesIO()
    Image.fromarray(IMAGE).save(stream, "PNG")
    record = {"image": decode.Encoded(stream.getvalue()), "label": 4}
    encoded = transform(record, np.random.default_rng(1))["image"]
    np.testing.assert_array_equal(encoded, transform(RECORD, np.random.default_rng(1))["image"])


def test_inception_boxes_have_the_papers_statistics():
    rng = np.random.default_rng(0)
    width, height = 1000, 1000
    boxes = np.array([crops.inception_box(rng, width, height) for _ in range(4000)])
    across, down = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area, ratio = across * down / (width * height), across / down
    assert boxes.min() >= 0 and boxes.max() <= 1000
    assert area.min() >= 0.079 and area.max() <= 1.0
    # Areas are uniform below 3/4, where every aspect ratio fits; larger ones are rejected more often.
    assert abs(np.mean(area < 0.4) / np.mean(area < 0.72) - (0.4 - 0.08) / (0.72 - 0.08)) < 0.04
    assert ratio.min() > 3 / 4 - 0.01 and ratio.max() < 4 / 3 + 0.01
    assert abs(np.log(ratio).mean()) < 0.02
    left = boxes[:, 0] / np.maximum(1, width - across)
    assert abs(left.mean() - 0.5) < 0.02


@pytest.mark.parametrize(("width", "height", "expected"), [(1000, 10, (13, 10)), (10, 1000, (10, 13))])
def test_inception_falls_back_to_the_central_part(width, height, expected):
    x0, y0, x1, y1 = crops.inception_box(np.random.default_rng(0), width, height)
    assert (x1 - x0, y1 - y0) == expected
    assert (x0, y0) == ((width - expected[0]) // 2, (height - expected[1]) // 2)


def test_center_crop_is_resize_then_cut():
    out = crops.center_crop(28, resize=32)(RECORD, np.random.default_rng(0))["image"]
    resized = np.asarray(Image.fromarray(IMAGE).resize((int(32 * 70 / 50), 32), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(out, resized[2:30, 8:36])
    assert crops.center_crop(224).keywords["shorter"] == 256


@pytest.mark.peer
@pytest.mark.parametrize(("height", "width"), [(50, 70), (71, 50), (33, 33), (20, 61)])
def test_center_crop_equals_torchvision(height, width):
    pytest.importorskip("torch")
    from torchvision import transforms as T

    image = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    theirs = T.Compose([T.Resize(37), T.CenterCrop(32)])(Image.fromarray(image))
    ours = crops.center_crop(32)({"image": image}, np.random.default_rng(0))["image"]
    np.testing.assert_array_equal(ours, np.asarray(theirs))


def test_scale_jitter_covers_scales_and_places():
    ramp = np.zeros((100, 200, 3), np.uint8)
    ramp[..., 0] = np.arange(200)[None, :]
    ramp[..., 1] = np.arange(100)[:, None]
    jitter = crops.scale_jitter(32, 32, 64)
    parts = [jitter({"image": ramp}, np.random.default_rng(seed))["image"].astype(int) for seed in range(300)]
    spans = np.array([part[16, -2, 0] - part[16, 1, 0] for part in parts]) * 32 / 29
    assert 48 < spans.min() < 56 and 94 < spans.max() < 104  # 32/64 and 32/32 of the height of 100
    lefts = np.array([part[16, 1, 0] for part in parts])
    assert lefts.min() < 8 and lefts.max() > 135


def test_crop_pad_shifts_by_at_most_the_padding():
    image = np.full((32, 32, 3), 255, np.uint8)
    black_rows, black_columns = set(), set()
    for seed in range(300):
        out = crops.crop_pad(32, 4)({"image": image, "label": 0}, np.random.default_rng(seed))["image"][..., 0]
        black_rows.add((32 - (out > 0).any(axis=1).sum()) * (1 if out[0].max() == 0 else -1))
        black_columns.add((32 - (out > 0).any(axis=0).sum()) * (1 if out[:, 0].max() == 0 else -1))
    assert black_rows == black_columns == set(range(-4, 5))


def test_shorter_side_keeps_the_aspect_ratio():
    assert crops.shorter_side(IMAGE, 25).shape == (25, 35, 3)
    assert crops.shorter_side(IMAGE.transpose(1, 0, 2), 25).shape == (35, 25, 3)
    assert crops.shorter_side(IMAGE[:, :66], 33).shape == (33, math.floor(33 * 66 / 50), 3)


def test_sizes_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="center_crop: resize=20 is smaller than size=24"):
        crops.center_crop(24, resize=20)
    with pytest.raises(ValueError, match="size <= low <= high"):
        crops.scale_jitter(224, 200, 300)


@pytest.mark.parametrize("shape", [(2, 3000), (3000, 2), (20, 161), (200, 20)])
@pytest.mark.parametrize("resize", [None, 24])
def test_a_thin_image_is_cut_before_it_is_enlarged(shape, resize):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    shorter = 24 if resize else round(24 * 256 / 224)
    whole = crops.shorter_side(image, shorter)
    y, x = (round((side - 24) / 2) for side in whole.shape[:2])
    part = crops.center_crop(24, resize)({"image": image}, np.random.default_rng(0))["image"]
    assert part.shape == (24, 24, 3)
    np.testing.assert_allclose(part.astype(int), whole[y : y + 24, x : x + 24].astype(int), atol=1)


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [
        (500, 375, (48, 64)),  # 4:3 and 3:2 are kept
        (333, 500, (72, 48)),
        (400, 400, (48, 48)),
        (410, 400, (48, 48)),
        (1600, 900, (48, 84)),  # 16:9 to 21:12
        (900, 100, (48, 96)),  # its middle
    ],
)
def test_whole_images_keep_their_proportions(width: int, height: int, shape: tuple[int, int]):
    image = np.zeros((height, width, 3), np.uint8)
    image[:, :, 0] = np.linspace(0, 255, width)[None]
    found = crops.whole_image(48)({"image": image, "label": 3}, np.random.default_rng(0))
    assert found["image"].shape == (*shape, 3) and found["label"] == 3
    if width <= 2 * height:
        assert found["image"][0, 0, 0] < 6 and found["image"][0, -1, 0] > 249  # nothing is cut off
    else:
        assert found["image"][0, 0, 0] > 90 and found["image"][0, -1, 0] < 165


def test_records_of_a_group_have_one_shape():
    class Photos:
        sizes = ((500, 375), (375, 500), (640, 480), (300, 300), (0, 0))

        def __len__(self) -> int:
            return len(self.sizes)

        def __getitem__(self, index: int) -> dict:
            if not self.sizes[index][0]:
                raise ValueError("torn")
            width, height = self.sizes[index]
            return {"image": np.zeros((height, width, 3), np.uint8)}

        def name(self, index: int) -> str:
            return str(index)

    photos = Photos()
    assert crops.shape_groups(photos).tolist() == [4, -4, 4, 0, 0]
    shapes = [crops.whole_image(24)(photos[i], np.random.default_rng(0))["image"].shape for i in range(4)]
    assert shapes == [(24, 32, 3), (32, 24, 3), (24, 32, 3), (24, 24, 3)]
