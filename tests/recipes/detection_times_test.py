"""What an image costs in testing is measured on images that can be read, one by one."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxvision.recipes.detection_times import PARTS, TIMED, times
from jaxvision.train.types import Batch, TrainState

STATE: Any = TrainState(0, {}, {}, {}, {}, jax.random.PRNGKey(0))


def batches(masks: list[list[bool]], wide: int = 8) -> Any:
    """Batches of two images, numbered through; those from `wide` on have another shape."""

    def opened(shard: int, shards: int) -> Iterator[dict]:
        for number, mask in enumerate(masks):
            image = np.zeros((2, 4, 4 if number < wide else 6, 3), np.uint8)
            yield {"image": image, "number": 2 * number + np.arange(2), "_mask": np.array(mask)}

    return opened


def looked_at(data: Any) -> tuple[list[int], dict[str, Any]]:
    seen: list[int] = []

    def once(state: TrainState, batch: Batch, row: int) -> list[float]:
        seen.append(int(batch["number"][row]))
        return [float(len(seen)), 0.0, 2.0, 1.0]

    return seen, dict(times(once, data).run(lambda state, batch: {}, STATE))


def test_the_first_images_that_can_be_read_are_looked_at_after_one_that_compiles():
    seen, found = looked_at(batches([[False, False], [False, True], [True, True], *[[True, True]] * 9]))
    assert seen == [3, 3, 4, 5, 6, 7, 8, 9, 10] and len(seen) == 1 + TIMED
    assert found == {f"test/seconds_{part}": s for part, s in zip(PARTS, [5.5, 0.0, 2.0, 1.0, 8.5], strict=True)}


def test_no_image_needs_another_compilation():
    seen, _ = looked_at(batches([[True, True], [True, False], [True, True]], wide=1))
    assert seen == [0, 0, 1]
