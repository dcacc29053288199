import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.fpn import FPN


def maps(height: int = 64, width: int = 96) -> list:
    rng = np.random.default_rng(0)
    sizes = [(height // s, width // s, c) for s, c in ((4, 3), (8, 5), (16, 6), (32, 7))]
    return [jnp.asarray(rng.normal(size=(2, *size)).astype(np.float32)) for size in sizes]


def test_names_shapes_and_parameters():
    model = FPN(8)
    variables = model.init(jax.random.PRNGKey(0), maps())
    out = model.apply(variables, maps())
    assert list(out) == ["p2", "p3", "p4", "p5", "p6"]
    assert [v.shape[1:3] for v in out.values()] == [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]
    assert set(variables["params"]) == {f"{kind}{level}" for kind in ("lateral", "output") for level in (2, 3, 4, 5)}
    shapes = jax.eval_shape(
        FPN(256).init, jax.random.PRNGKey(0), [jnp.zeros((1, 8 * 32 // s, 8 * 32 // s, 64 * s)) for s in (4, 8, 16, 32)]
    )
    assert sum(int(np.prod(s.shape)) for s in jax.tree.leaves(shapes)) == 3_344_384


def test_the_top_reaches_the_finest_map():
    model = FPN(4)
    variables = model.init(jax.random.PRNGKey(0), maps())
    changed = maps()
    changed[3] = changed[3].at[:, 0, 0].add(1.0)
    difference = model.apply(variables, changed)["p2"] - model.apply(variables, maps())["p2"]
    reached = np.abs(np.asarray(difference)).max((0, 3)) > 0
    assert reached[:8, :8].all() and not reached[9:, 9:].any()  # one cell of stride 32, and 3×3 around it


def test_p6_is_every_second_cell_of_p5():
    model = FPN(4)
    out = model.apply(model.init(jax.random.PRNGKey(0), maps()), maps())
    np.testing.assert_array_equal(out["p6"], out["p5"][:, ::2, ::2])


def test_other_canvases_are_refused():
    odd = maps(64, 96)
    odd[3] = odd[3][:, :1]
    with pytest.raises(ValueError, match="multiples of 32"):
        FPN(4).init(jax.random.PRNGKey(0), odd)
