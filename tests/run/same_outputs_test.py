import numpy as np
import pytest

from jaxvision.run.same_outputs import by_path, require_equal

BOXES, SCORES = np.array([[0.0, 8.0, 400.0, 16.0]]), np.array([0.25])
EXPECTED = {"scores": SCORES, "unmoved/boxes": BOXES}


def test_nested_outputs_have_paths():
    assert list(by_path({"scores": SCORES, "unmoved": {"boxes": BOXES}})) == ["scores", "unmoved/boxes"]


def test_rounding_is_a_share_of_the_largest_value_or_of_one():
    require_equal({"unmoved/boxes": BOXES + 0.039, "scores": SCORES + 0.9e-4}, EXPECTED, 1e-4, "--mode=export")


@pytest.mark.parametrize(
    ("name", "value", "difference"),
    [("unmoved/boxes", BOXES + 0.05, "0.05"), ("scores", SCORES + 2e-4, "0.0002"), ("scores", SCORES * np.nan, "nan")],
)
def test_another_output_is_named(name: str, value: np.ndarray, difference: str):
    with pytest.raises(ValueError, match=f"^--format=onnx: {name} of the exported program differs by {difference}$"):
        require_equal({**EXPECTED, name: value}, EXPECTED, 1e-4, "--format=onnx")
