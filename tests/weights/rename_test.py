"""Names and layouts, there and back."""

import numpy as np

from jaxvision.weights.rename import Rule, flat, nested, to_ours, to_theirs, within

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


RULES = (
    *within("net", "backbone", (Rule("layer{i}.{j}.conv{k}", "layer{i}_{j}/conv{k}"), Rule("bn", "bn"))),
    Rule("fc6", "head/fc6", 2),
    Rule("fc7", "head/fc7", 1),
    Rule("new.name", "other"),
    Rule("old", "other"),
)
TENSORS = {
    "net.layer1.10.conv2.weight": normal(5, 4, 3, 2),
    "net.bn.weight": normal(4),
    "net.bn.bias": normal(4),
    "net.bn.running_mean": normal(4),
    "net.bn.running_var": normal(4),
    "net.bn.num_batches_tracked": np.array(3),
    "fc6.weight": normal(7, 12),
    "fc6.bias": normal(7),
    "fc7.weight": normal(6, 7),
    "old.bias": normal(2),
}


def test_every_tensor_has_its_place_and_layout():
    ours = to_ours(TENSORS, RULES)
    assert ours is not None and len(ours) == 9
    kernel = ours["params", "backbone", "layer1_10", "conv2", "kernel"]
    assert kernel.shape == (3, 2, 4, 5) and kernel[2, 1, 3, 4] == TENSORS["net.layer1.10.conv2.weight"][4, 3, 2, 1]
    assert ours["params", "backbone", "bn", "scale"] is TENSORS["net.bn.weight"]
    assert ours["batch_stats", "backbone", "bn", "var"] is TENSORS["net.bn.running_var"]
    np.testing.assert_array_equal(ours["params", "head", "fc7", "kernel"], TENSORS["fc7.weight"].T)


def test_a_flattened_map_gives_the_same_numbers_in_either_order_of_its_axes():
    kernel = to_ours(TENSORS, RULES)["params", "head", "fc6", "kernel"]
    image = normal(2, 2, 3)  # rows, columns, channels
    theirs = TENSORS["fc6.weight"] @ image.transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(image.ravel() @ kernel.reshape(12, 7), theirs, rtol=1e-5)


def test_the_way_back_is_exact_also_from_a_matrix_or_a_convolution():
    ours = to_ours(TENSORS, RULES)
    matrix, convolution = ours["params", "head", "fc6", "kernel"].reshape(12, 7), normal(1, 1, 7, 6)
    ours["params", "head", "fc6", "kernel"] = matrix
    back = to_theirs(ours, RULES)
    expected = {name.replace("old", "new.name"): value for name, value in TENSORS.items() if "num_" not in name}
    assert back.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(back[name], value)
    ours["params", "head", "fc7", "kernel"] = convolution
    np.testing.assert_array_equal(to_theirs(ours, RULES)["fc7.weight"], convolution[0, 0].T)


def test_one_unknown_name_is_another_network():
    assert to_ours({**TENSORS, "net.layer1.10.conv2.scale": normal(1)}, RULES) is None
    assert to_ours({**TENSORS, "net.layer1.conv2.weight": normal(1)}, RULES) is None
    assert to_theirs({("params", "neck", "kernel"): normal(1, 1)}, RULES) is None


def test_nested_and_flat_are_inverse():
    arrays = {("params", "a", "b", "kernel"): normal(1), ("params", "a", "bias"): normal(1), ("batch_stats", "m"): 0}
    assert flat(nested(arrays)) == arrays
