"""Imported layers in their place, wherever in the network that is."""

import numpy as np
import pytest

from jaxvision.weights.imported import Imported, merge
from jaxvision.weights.preprocess import Preprocess

GREY = ((127.5,) * 3, (127.5,) * 3)


def layer(value: float, shape: tuple[int, ...] = (2, 3)) -> dict[str, np.ndarray]:
    return {"kernel": np.full(shape, value, np.float32)}


def imported(**layers) -> Imported:
    return Imported({"params": layers}, *GREY, "some.file")


def test_layers_go_to_the_part_that_has_them_and_the_rest_stays():
    variables = {"params": {"backbone": {"a": layer(0), "b": layer(1)}, "head": layer(2)}, "batch_stats": {}}
    merged = merge(variables, imported(a=layer(7), b=layer(8)))
    assert merged["params"]["backbone"]["a"]["kernel"].max() == 7 and merged["params"]["head"]["kernel"].max() == 2
    assert variables["params"]["backbone"]["a"]["kernel"].max() == 0
    top = merge({"params": {"a": layer(0), "other": layer(1)}}, imported(a=layer(7)))
    assert top["params"]["a"]["kernel"].max() == 7 and top["params"]["other"]["kernel"].max() == 1


def test_statistics_go_along():
    variables = {"params": {"net": {"a": layer(0)}}, "batch_stats": {"net": {"a": {"mean": np.zeros(3, np.float32)}}}}
    both = {"params": {"a": layer(1)}, "batch_stats": {"a": {"mean": np.full(3, 5, np.float32)}}}
    merged = merge(variables, Imported(both, *GREY, "some.file"))
    assert merged["batch_stats"]["net"]["a"]["mean"].max() == 5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"b": {"a": layer(0, (2, 4))}}, r"some.file: of another shape: a/kernel is \(2, 3\) in the file and \(2, 4\)"),
        ({"b": {"a": {"scale": np.ones(3)}}}, "only in the file: a/kernel"),
        ({"backbone": {"c": layer(0)}}, "no part of the network has the layers a"),
        ({"one": {"a": layer(0)}, "two": {"a": layer(0)}}, "more than one part"),
    ],
)
def test_what_does_not_fit_is_named(params: dict, message: str):
    with pytest.raises(ValueError, match=message):
        merge({"params": params}, imported(a=layer(1)))


def test_of_a_whole_network_the_difference_is_told_both_ways():
    whole = imported(a=layer(1), b=layer(1), c=layer(1))._replace(network="net", optional=("side",))
    variables = {"params": {"a": layer(0), "b": layer(0, (3, 3)), "d": layer(0), "side": layer(0)}}
    with pytest.raises(ValueError) as error:
        merge(variables, whole)
    assert str(error.value) == (
        "some.file: only in the file: c/kernel; only in the network: d/kernel; of another shape: b/kernel is (2, 3) in "
        "the file and (3, 3) in the network; choose the network of the file"
    )
    many = whole._replace(variables={"params": {"a": layer(1), **{f"x{i}": layer(1) for i in range(9)}}})
    with pytest.raises(ValueError, match="only in the file: x0/kernel, x1/kernel, x2/kernel, x3/kernel and 5 more;"):
        merge({"params": {"a": layer(0)}}, many)


def test_another_number_of_classes_needs_a_new_head():
    whole = imported(a=layer(1), top={"fc": layer(1, (3, 1000))})._replace(network="net", head=("top/fc",))
    variables = {"params": {"a": layer(0), "top": {"fc": layer(0.5, (3, 10))}}}
    with pytest.raises(ValueError, match="top/fc/kernel is .*; --head=new leaves the classifier out$"):
        merge(variables, whole)
    with pytest.raises(ValueError, match="only in the file: top/fc/kernel; --head=new"):
        merge({"params": {"a": layer(0)}}, whole)
    merged = merge(variables, whole.without_head())["params"]
    assert merged["a"]["kernel"].max() == 1 and merged["top"]["fc"]["kernel"].max() == 0.5
    assert merge({"params": {"a": layer(0)}}, whole.without_head())["params"]["a"]["kernel"].max() == 1


def test_layers_that_either_may_lack():
    whole = imported(a=layer(1), fc6=layer(1))._replace(network="net", optional=("fc6", "side"))
    merged = merge({"params": {"a": layer(0), "side": layer(0.5)}}, whole)["params"]
    assert merged["a"]["kernel"].max() == 1 and merged["side"]["kernel"].max() == 0.5 and "fc6" not in merged


def vgg(**layers) -> Imported:
    return imported(a=layer(1), fc6=layer(1), **layers)._replace(network="net", movable=("fc6",), head=("fc8",))


def test_fully_connected_layers_go_where_the_network_has_them():
    variables = {"params": {"backbone": {"a": layer(0)}, "box_head": {"fc6": layer(0), "score": layer(0.5)}}}
    merged = merge(variables, vgg(fc8=layer(1)).without_head())["params"]
    assert merged["box_head"]["fc6"]["kernel"].max() == 1 and merged["box_head"]["score"]["kernel"].max() == 0.5
    assert "fc6" not in merge({"params": {"net": {"a": layer(0)}}}, vgg())["params"]["net"]


def test_a_place_for_them_that_they_do_not_fill_is_refused():
    other_size = {"params": {"backbone": {"a": layer(0)}, "box_head": {"fc6": layer(0, (2, 4))}}}
    with pytest.raises(ValueError, match=r"of another shape: fc6/kernel is \(2, 3\) in the file and \(2, 4\)"):
        merge(other_size, vgg())
    trunk_only = vgg()._replace(variables={"params": {"a": layer(1)}}).without_head()
    with pytest.raises(ValueError, match="only in the network: fc6/kernel"):
        merge({"params": {"a": layer(0), "fc6": layer(0), "fc8": layer(0)}}, trunk_only)
    twice = {"params": {"backbone": {"a": layer(0)}, "one": {"fc6": layer(0)}, "two": {"fc6": layer(0)}}}
    with pytest.raises(ValueError, match="more than one part of the network has the layer fc6"):
        merge(twice, vgg())


@pytest.mark.parametrize("shape", [(12, 5), (2, 2, 3, 5)])
def test_a_matrix_on_a_flattened_map_is_a_convolution(shape: tuple[int, ...]):
    kernel = np.arange(60, dtype=np.float32).reshape(2, 2, 3, 5)
    merged = merge({"params": {"fc": layer(0, shape)}}, imported(fc={"kernel": kernel}))["params"]["fc"]["kernel"]
    np.testing.assert_array_equal(merged, kernel.reshape(shape))


def test_the_record_is_what_images_have_to_be_prepared_by():
    record = imported(a=layer(1))._replace(preprocess=Preprocess(resize=256, crop=224), class_names=("x",)).record()
    assert record == {
        "order": "RGB",
        "range": [0, 1],
        "resize": 256,
        "longest": 0,
        "crop": 224,
        "interpolation": "bilinear",
        "antialias": True,
        "class_names": ["x"],
    }
