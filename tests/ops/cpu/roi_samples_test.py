"""What is done map after map and RoI after RoI is what is done in one table for all RoIs at once."""

import jax.numpy as jnp
import numpy as np

from jaxvision.ops import roi_samples
from jaxvision.ops.cpu import roi_samples as cpu
from jaxvision.ops.roi_samples import Taps

SIZES, WIDTHS = (48, 12), np.array([8, 4])  # of two maps, 6×8 and 3×4


def terms(channels: int = 5) -> tuple[Taps, Taps, jnp.ndarray, jnp.ndarray]:
    """Taps of ten RoIs on either map or none, many of weight 0, and a gradient."""
    rng = np.random.default_rng(2)
    level = rng.integers(-1, 2, 10)
    height, begin = np.array([6, 3, 1])[level, None, None], np.array([0, 48, 0])[level, None, None]
    width = np.append(WIDTHS, 1)[level, None, None]
    row, column = (rng.integers(0, 100, (10, 3, 4)) % side for side in (height, width))
    weights = rng.uniform(size=(2, 10, 3, 4)) * (rng.uniform(size=(2, 10, 3, 4)) < 0.7)
    weights *= (level >= 0)[None, :, None, None]
    first, second = (jnp.array(w, jnp.float32) for w in weights)
    gradient = jnp.array(rng.normal(size=(10, 3, 3, channels)), jnp.float32)
    rows = Taps(jnp.array(begin + row * width, jnp.int32), first)
    return rows, Taps(jnp.array(column, jnp.int32), second), jnp.array(level, jnp.int32), gradient


def test_both_forms_read_the_same():
    rng = np.random.default_rng(3)
    tables = tuple(jnp.array(rng.normal(size=(size, 5)), jnp.float32) for size in SIZES)
    rows, columns, level, _ = terms()
    found = cpu.read(tables, rows, columns, level)
    np.testing.assert_array_equal(found, roi_samples.read(tables, rows, columns, level))
    assert found[level >= 0].any() and not found[level < 0].any()


def test_both_backward_forms_are_one_function():
    found = cpu.spread(*terms(), sizes=SIZES)
    expected = roi_samples.spread_over(*terms(), sizes=SIZES)
    assert [len(one) for one in found] == list(SIZES)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
        assert one.any()
