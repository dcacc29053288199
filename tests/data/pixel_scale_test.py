"""A recipe's pixels reach the network: 0..255 minus the mean, 0..1, or divided by the standard deviation."""

import pytest

from jaxvision.channels import IMAGENET_MEAN
from jaxvision.data.inputs import Inputs, Opened
from jaxvision.data.pixel_scale import CAFFE, CAFFE_IMAGENET, UNIT, PixelScale, described
from jaxvision.data.source_log import SourceLog

MEAN, STD = (101.0, 102.0, 103.0), (51.0, 52.0, 53.0)
ONES = (1.0, 1.0, 1.0)


def test_the_range_says_what_pixels_are_divided_by():
    assert PixelScale().of(MEAN, STD) == (MEAN, STD)
    assert CAFFE.of(MEAN, STD) == (MEAN, ONES)
    assert CAFFE_IMAGENET.of(MEAN, STD) == ((122.7717, 115.9465, 102.9801), ONES)
    assert UNIT.of(MEAN, STD) == ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    assert PixelScale(mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0)).of(MEAN, STD) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def test_wrong_numbers_are_refused_by_flag():
    for wrong in ({"mean": (1.0,)}, {"std": (1.0, 2.0)}, {"mean": (float("nan"),) * 3}):
        with pytest.raises(ValueError, match=r"--pixels\.(mean|std)=.*: give three numbers"):
            PixelScale(**wrong)
    for wrong in ({"range": 255, "std": STD}, {"std": (0.0, 1.0, 1.0)}):
        with pytest.raises(ValueError, match="--pixels.std=.*: give numbers above 0, and only with --pixels.range=0"):
            PixelScale(**wrong)


def test_a_source_has_the_recipes_pixels_unless_weights_have_their_own():
    source = Inputs().source("digits:count=16", "labels", CAFFE)
    assert source.std == ONES and source.mean == Inputs().source("digits:count=16", "labels").mean
    lines: list[str] = []
    inputs = Inputs(normalise=(MEAN, STD), log=SourceLog(lines.append))
    source = inputs.source("digits:count=16", "labels", CAFFE)
    assert (source.mean, source.std) == (MEAN, STD)
    assert lines[0].startswith(f"pixels: {described(MEAN, STD)}, as the weights were trained; the recipe has: minus ")
    assert inputs.log is not None and inputs.log.learned("digits:count=16")["std"] == list(STD)


def test_weights_are_not_mentioned_where_the_recipe_says_nothing_or_the_same():
    for pixels in (PixelScale(), PixelScale(mean=MEAN, std=STD)):
        lines: list[str] = []
        Inputs(normalise=(MEAN, STD), log=SourceLog(lines.append)).source("digits:count=16", "labels", pixels)
        assert not any(line.startswith("pixels") for line in lines)


def test_a_trained_network_keeps_its_pixels_without_data_and_in_a_shared_source():
    assert Inputs(class_names=("a",)).source("none", None, CAFFE).mean == IMAGENET_MEAN
    assert Inputs(normalise=(MEAN, STD), class_names=("a",)).source("none", None, CAFFE).std == STD
    assert Opened().source("digits:count=16", None, CAFFE).std == ONES
    assert Opened().source("digits:count=16", None).std != ONES


def test_pixels_are_described_in_words():
    assert described(*CAFFE_IMAGENET.of(MEAN, STD)) == "minus 122.8, 115.9, 103, divided by 1, 1, 1"
