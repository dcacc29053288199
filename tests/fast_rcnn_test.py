"""What Fast R-CNN refuses before it trains."""

import dataclasses
from pathlib import Path

import pytest

from experiments.detection import fast_rcnn
from jaxvision.data.inputs import Inputs


@pytest.mark.parametrize("ranks", [(65, 0), (0, 65), (-1, 4)])
def test_ranks_that_no_layer_has_are_refused_before_training(ranks: tuple[int, int], tmp_path: Path):
    smoke = fast_rcnn.PRESETS["smoke"]
    stages = fast_rcnn.build(dataclasses.replace(smoke, ranks=(64, 0)), Inputs(workdir=tmp_path)).stages
    assert [stage.name for stage in stages] == ["proposals", "train", "truncated"]
    with pytest.raises(ValueError, match="--ranks: fc6 and fc7 have rank 64; choose from 1 to that, or 0"):
        fast_rcnn.build(dataclasses.replace(smoke, ranks=ranks), Inputs(workdir=tmp_path))
