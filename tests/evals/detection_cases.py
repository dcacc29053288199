"""Random detections and objects with ties, crowds, empty images and padding."""

import numpy as np

NAMES = ("background", "cat", "dog", "cow")
D, N, M = 12, 6, 14


def random_batches(seed: int, *, images: int = 12, rows: int = 4, scale: float = 1.0) -> list[tuple[dict, dict]]:
    """(outputs, batch) pairs of `rows` images; the last batch is half padding, full of detections and objects."""
    rng = np.random.default_rng(seed)
    batches = [one_batch(rng, start, rows, scale) for start in range(0, images, rows)]
    batches[-1][1]["_mask"][rows // 2 :] = False
    return batches


def one_batch(rng: np.random.Generator, first_id: int, rows: int, scale: float) -> tuple[dict, dict]:
    true = random_boxes(rng, (rows, N))
    valid = np.arange(N)[None] < rng.integers(0, N + 1, (rows, 1))
    labels = np.where(valid, rng.integers(1, len(NAMES), (rows, N)), 0).astype(np.int32)
    picks = rng.integers(0, N, (rows, D))
    near = np.take_along_axis(true, picks[..., None], axis=1) + rng.choice([-8, -4, 0, 0, 0, 4, 8], (rows, D, 4))
    boxes = np.where(rng.random((rows, D, 1)) < 0.75, near, random_boxes(rng, (rows, D)))
    boxes = np.concatenate([np.minimum(boxes[..., :2], boxes[..., 2:]), np.maximum(boxes[..., :2], boxes[..., 2:])], -1)
    found = np.arange(D)[None] < rng.integers(0, D + 1, (rows, 1))
    guessed = np.where(rng.random((rows, D)) < 0.8, np.take_along_axis(labels, picks, axis=1), 1)
    outputs = {
        "boxes": (boxes * scale).astype(np.float32),
        "scores": (rng.integers(0, 8, (rows, D)) / 8).astype(np.float32),  # eighths: ties
        "labels": np.maximum(guessed, 1).astype(np.int32),
        "valid": found,
        "masks": rng.uniform(size=(rows, D, M, M)).astype(np.float32),
    }
    batch = {
        "image": rng.integers(0, 256, (rows, 160, 200, 3), dtype=np.uint8),
        "boxes": (true * scale).astype(np.float32),
        "labels": labels,
        "valid": valid,
        "ignore": rng.random((rows, N)) < 0.2,
        "image_id": 10 * (first_id + np.arange(rows)[::-1]),
        "size": np.tile(np.array([[150, 190]]) * scale, (rows, 1)),
        "scale": np.full(rows, scale, np.float32),
        "masks": rng.random((rows, N, M, M)) < 0.7,
        "_mask": np.ones(rows, bool),
    }
    return outputs, batch


def random_boxes(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    corner = rng.integers(0, 100, (*shape, 2))
    return np.concatenate([corner, corner + rng.integers(4, 80, (*shape, 2))], axis=-1).astype(np.float64)


def evaluate(metric, batches) -> dict:
    state = metric.init()
    for outputs, batch in batches:
        state = metric.update(state, outputs, batch)
    return metric.result(state)


def single(boxes, scores, true_boxes, *, labels=None, true_labels=None, ignore=None, image_id=0, scale=1.0):
    """(outputs, batch) of one image, without padding. Every label is 1 unless given."""
    count, objects = len(scores), len(true_boxes)
    outputs = {
        "boxes": np.reshape(boxes, (1, count, 4)).astype(np.float32),
        "scores": np.reshape(scores, (1, count)).astype(np.float32),
        "labels": np.reshape(np.ones(count) if labels is None else labels, (1, count)).astype(np.int32),
        "valid": np.ones((1, count), bool),
    }
    batch = {
        "image": np.zeros((1, 100, 100, 3), np.uint8),
        "boxes": np.reshape(true_boxes, (1, objects, 4)).astype(np.float32),
        "labels": np.reshape(np.ones(objects) if true_labels is None else true_labels, (1, objects)).astype(np.int32),
        "valid": np.ones((1, objects), bool),
        "ignore": np.reshape(np.zeros(objects) if ignore is None else ignore, (1, objects)).astype(bool),
        "image_id": np.array([image_id]),
        "size": np.array([[100, 100]]),
        "scale": np.array([scale], np.float32),
        "_mask": np.array([True]),
    }
    return outputs, batch


def real_rows(batches):
    """(image_id, detections, objects) of each image that counts, as plain Python numbers in original pixels."""
    for outputs, batch in batches:
        for row in np.flatnonzero(batch["_mask"]).tolist():
            scale = float(batch["scale"][row])
            found = [
                {"row": d, "box": [float(x) / scale for x in outputs["boxes"][row, d]],
                 "score": float(outputs["scores"][row, d]), "label": int(outputs["labels"][row, d])}
                for d in range(outputs["scores"].shape[1]) if outputs["valid"][row, d]
            ]  # fmt: skip
            true = [
                {"row": n, "box": [float(x) / scale for x in batch["boxes"][row, n]],
                 "label": int(batch["labels"][row, n]), "ignore": bool(batch["ignore"][row, n])}
                for n in range(batch["labels"].shape[1]) if batch["valid"][row, n]
            ]  # fmt: skip
            yield int(batch["image_id"][row]), found, true, (outputs, batch, row)
