"""Small COCO folders with a given number of objects in each image."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def boxes_of(count: int, size: tuple[int, int]) -> list[list[float]]:
    """`count` boxes (x, y, width, height) in a grid on an image of `size`, of which none touches another."""
    columns = int(np.ceil(np.sqrt(max(count, 1))))
    width, height = size[0] / columns, size[1] / columns
    places = (divmod(i, columns) for i in range(count))
    return [[x * width, y * height, 0.75 * width, 0.75 * height] for y, x in places]


def write(root: Path, split: str, *counts: int, size: tuple[int, int] = (90, 70), outlined: int = 0, **more) -> str:
    """Write a split and return the --data of its folder.

    Args:
        root: the folder.
        split: the name of the split.
        *counts: the number of objects of each image.
        size: width and height of the images.
        outlined: the first so many objects of each image have an outline.
        **more: further fields of each annotation.
    """
    for folder in ("annotations", split):
        (root / folder).mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, count in enumerate(counts, start=1):
        pixels = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(root / split / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": size[0], "height": size[1]})
        for i, (x, y, w, h) in enumerate(boxes_of(count, size)):
            outline = {"segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]]} if i < outlined else {}
            place = {"id": len(annotations) + 1, "image_id": number, "category_id": 1 + i % 2, "bbox": [x, y, w, h]}
            annotations.append({**place, **outline, **more})
    categories = [{"id": 1, "name": "cell"}, {"id": 2, "name": "nucleus"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(document))
    return f"coco:{root}"
