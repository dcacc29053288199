import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.train import optim
from jaxvision.train.optim import Optimizer, learning_rate


def tree(seed: int) -> dict:
    """A kernel, its bias and a normalisation scale."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    return {"conv": {"kernel": draw(3, 2), "bias": draw(2)}, "bn": {"scale": draw(2)}}


def run(optimizer: Optimizer, params: dict, grads: list, steps: int | None = None, losses: list | None = None) -> dict:
    tx = optimizer.make(steps or len(grads))
    state = tx.init(params)
    update = jax.jit(tx.update)
    for grad, loss in zip(grads, losses or [0.0] * len(grads), strict=True):
        updates, state = update(grad, state, params, value=jnp.float32(loss))
        params = optax.apply_updates(params, updates)
    return params


def by_hand(step, params: dict, grads: list) -> dict:
    """`step(w, g, memory, t, decays) -> w`, leaf by leaf in float64; `memory` is the leaf's own dict."""
    leaves, structure = jax.tree.flatten(params)
    leaves = [leaf.astype(np.float64) for leaf in leaves]
    memories: list[dict] = [{} for _ in leaves]
    for t, grad in enumerate(grads, 1):
        pairs = zip(leaves, jax.tree.leaves(grad), memories, strict=True)
        leaves = [step(w, np.float64(g), m, t, w.ndim > 1) for w, g, m in pairs]
    return jax.tree.unflatten(structure, leaves)


def assert_follows(optimizer: Optimizer, step) -> None:
    params, grads = tree(0), [tree(i) for i in range(1, 5)]
    chex.assert_trees_all_close(run(optimizer, params, grads), by_hand(step, params, grads), rtol=2e-5, atol=2e-6)


def momentum_step(lr, m, decay, *, nesterov=False, decoupled=False, norms=False):
    def step(w, g, memory, t, is_kernel):
        wd = decay * w * (is_kernel or norms)
        g = g if decoupled else g + wd
        v = memory["v"] = m * memory.get("v", 0.0) + g
        direction = g + m * v if nesterov else v
        return w - lr * (direction + wd if decoupled else direction)

    return step


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("norms", [False, True])
def test_momentum_follows_the_update_written_by_hand(nesterov, decoupled, norms):
    optimizer = Optimizer(lr=0.1, weight_decay=0.2, nesterov=nesterov, decoupled=decoupled, decay_norms=norms)
    assert_follows(optimizer, momentum_step(0.1, 0.9, 0.2, nesterov=nesterov, decoupled=decoupled, norms=norms))


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_follows_the_update_written_by_hand(decoupled):
    def step(w, g, memory, t, is_kernel):
        wd = 0.2 * w * is_kernel
        g = g if decoupled else g + wd
        m = memory["m"] = 0.5 * memory.get("m", 0.0) + 0.5 * g
        s = memory["s"] = 0.99 * memory.get("s", 0.0) + 0.01 * g**2
        direction = m / (1 - 0.5**t) / (np.sqrt(s / (1 - 0.99**t)) + 1e-8)
        return w - 0.01 * (direction + wd if decoupled else direction)

    optimizer = Optimizer("adam", lr=0.01, momentum=0.5, beta2=0.99, weight_decay=0.2, decoupled=decoupled)
    assert_follows(optimizer, step)


@pytest.mark.parametrize("norms", [False, True])
def test_lars_follows_the_update_written_by_hand(norms):
    def step(w, g, memory, t, is_kernel):
        if is_kernel or norms:
            g = g + 0.1 * w
            g = g * 0.01 * np.linalg.norm(w) / np.linalg.norm(g)
        v = memory["v"] = 0.9 * memory.get("v", 0.0) + 2.0 * g
        return w - v

    assert_follows(Optimizer("lars", lr=2.0, trust=0.01, weight_decay=0.1, decay_norms=norms), step)


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_velocity_with_the_rate_inside_keeps_its_size_when_the_rate_is_cut(nesterov):
    """Caffe's solver: V ← m·V + lr·(g + decay·w), w ← w − V; Nesterov's (1 + m)·V − m·V_before."""

    def step(w, g, memory, t, is_kernel):
        before = memory.get("v", 0.0)
        v = memory["v"] = 0.9 * before + (0.1 if t <= 2 else 0.01) * (g + 0.2 * w * is_kernel)
        return w - ((1.9 * v - 0.9 * before) if nesterov else v)

    optimizer = Optimizer(lr=0.1, weight_decay=0.2, nesterov=nesterov, schedule="step", milestones=(0.5,))
    assert_follows(dataclasses.replace(optimizer, rate_in_velocity=True), step)


@pytest.mark.parametrize("other", [{"rule": "adam"}, {"rule": "lars"}, {"decoupled": True}, {"schedule": "plateau"}])
def test_a_velocity_with_the_rate_inside_is_for_plain_momentum(other):
    with pytest.raises(ValueError, match="optimizer.rate_in_velocity: give it with rule momentum"):
        Optimizer(rate_in_velocity=True, **other)


def test_lars_one_step_by_hand():
    params = {"kernel": jnp.array([[3.0, 4.0]]), "bias": jnp.array([3.0, 4.0])}
    grads = {"kernel": jnp.array([[0.0, 2.0]]), "bias": jnp.array([0.0, 2.0])}
    new = run(Optimizer("lars", lr=1.0, trust=0.1), params, [grads])
    # The kernel moves by lr · trust · ‖w‖ = 0.5 along its gradient; the bias by plain lr · g.
    chex.assert_trees_all_close(new, {"kernel": jnp.array([[3.0, 3.5]]), "bias": jnp.array([3.0, 2.0])})


def test_biases_and_norm_scales_are_masked():
    expected = {"conv": {"kernel": True, "bias": False}, "bn": {"scale": False}}
    assert optim.not_norms(tree(0)) == expected


def test_step_schedule_cuts_at_fractions_of_the_run():
    rate = optim.learning_rate(Optimizer(lr=1.0, schedule="step", milestones=(0.5, 0.9), factor=0.1), 100)
    chex.assert_trees_all_close([rate(t) for t in (0, 49, 50, 89, 90, 99)], [1.0, 1.0, 0.1, 0.1, 0.01, 0.01], rtol=1e-5)


def test_warm_up_may_begin_at_a_fraction_of_the_rate():
    optimizer = Optimizer(lr=2.0, warmup_steps=4, warmup_from=0.1, schedule="step", milestones=(0.5,))
    rate = optim.learning_rate(optimizer, 100)
    values = [rate(t) for t in (0, 1, 3, 4, 49, 50)]
    chex.assert_trees_all_close(values, [2 * (0.1 + 0.9 / 4), 2 * (0.1 + 0.9 / 2), 2.0, 2.0, 2.0, 0.2], rtol=1e-5)


def test_cosine_schedule_at_start_half_and_end():
    rate = optim.learning_rate(Optimizer(lr=2.0, schedule="cosine"), 100)
    values = [rate(0), rate(25), rate(50), rate(100), rate(500)]
    chex.assert_trees_all_close(values, [2.0, 1.0 + 2**-0.5, 1.0, 0.0, 0.0], atol=1e-6)


def test_polynomial_schedule_is_linear_at_power_one():
    rate = optim.learning_rate(Optimizer(lr=1.0, schedule="polynomial", power=1.0), 10)
    chex.assert_trees_all_close([rate(0), rate(5), rate(9), rate(10)], [1.0, 0.5, 0.1, 0.0], atol=1e-6)
    rate = optim.learning_rate(Optimizer(lr=1.0, schedule="polynomial", power=2.0), 10)
    chex.assert_trees_all_close(rate(5), jnp.float32(0.25))


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_constant_rate(schedule):
    rate = optim.learning_rate(Optimizer(lr=0.3, schedule=schedule), 10)
    chex.assert_trees_all_close([rate(0), rate(9)], [0.3, 0.3])


def test_warm_up_is_linear_and_the_curve_begins_after_it():
    rate = optim.learning_rate(Optimizer(lr=1.0, schedule="cosine", warmup_steps=4), 24)
    values = [rate(t) for t in (0, 1, 3, 4, 14, 24)]
    chex.assert_trees_all_close(values, [0.25, 0.5, 1.0, 1.0, 0.5, 0.0], atol=1e-6)


def test_the_exponential_schedule_cuts_again_and_again():
    optimizer = Optimizer(lr=0.01, schedule="exponential", factor=0.96, every=40)
    rate = learning_rate(optimizer, 1000)
    np.testing.assert_allclose(
        [rate(step) for step in (0, 39, 40, 80, 999)], 0.01 * 0.96 ** np.array([0, 0, 1, 2, 24]), 1e-5
    )
    halved = learning_rate(dataclasses.replace(optimizer, accumulate=2), 1000)
    np.testing.assert_allclose([halved(step) for step in (38, 40, 80)], [rate(step) for step in (38, 40, 80)])
    with pytest.raises(ValueError, match="optimizer.every is 0: give the training steps"):
        Optimizer(schedule="exponential")


def test_a_flat_warm_up_holds_its_rate():
    rate = learning_rate(Optimizer(lr=0.1, warmup_steps=400, warmup_from=0.1, warmup_flat=True), 64_000)
    np.testing.assert_allclose([rate(step) for step in (0, 399, 400, 401)], [0.01, 0.01, 0.1, 0.1], rtol=1e-6)
    with pytest.raises(ValueError, match="optimizer.warmup_flat: lr would be 0 all along"):
        Optimizer(warmup_steps=4, warmup_flat=True)


def test_the_rate_grows_with_the_images_of_an_update():
    optimizer = Optimizer(lr=0.1, lr_per=256)
    assert optimizer.at(1024) == Optimizer(lr=0.4)
    assert dataclasses.replace(optimizer, accumulate=4).at(64) == Optimizer(lr=0.1, accumulate=4)
    assert Optimizer(lr=0.3).at(1024) == Optimizer(lr=0.3)
    with pytest.raises(ValueError, match="optimizer.lr_per: lr cannot grow with the batch here"):
        optimizer.make(10)


def test_warm_up_longer_than_the_run_never_reaches_lr():
    rate = optim.learning_rate(Optimizer(lr=1.0, schedule="cosine", warmup_steps=500), 2)
    chex.assert_trees_all_close([rate(0), rate(1)], [1 / 500, 2 / 500], rtol=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "polynomial"])
def test_updates_use_the_logged_rate(schedule):
    optimizer = Optimizer(lr=0.5, momentum=0.0, schedule=schedule, warmup_steps=2)
    params, grads = {"w": jnp.zeros(())}, [{"w": jnp.ones(())}] * 8
    rate = optim.learning_rate(optimizer, 8)
    chex.assert_trees_all_close(run(optimizer, params, grads)["w"], -sum(rate(t) for t in range(8)), rtol=1e-5)


def test_plateau_cuts_after_patience_windows_of_the_mean_loss():
    optimizer = Optimizer(lr=1.0, momentum=0.0, schedule="plateau", patience=2, window=2, factor=0.5)
    tx = optimizer.make(100)
    params = {"w": jnp.zeros(())}
    state = tx.init(params)
    update = jax.jit(tx.update)
    scales = []
    # Means of the windows: 2 (best), 1 (best), 1, 1 (cut), 0.5 (best), 3, 3 (cut). Single low values don't count.
    for loss in (1, 3, 0.5, 1.5, 0.1, 1.9, 1, 1, 0.5, 0.5, 3, 3, 3, 3):
        updates, state = update({"w": jnp.ones(())}, state, params, value=jnp.float32(loss))
        scales.append(-float(updates["w"]))
    assert scales == [1.0] * 7 + [0.5] * 6 + [0.25]
    assert optim.plateau_scale(state) == 0.25


def test_plateau_scale_is_one_without_plateaus():
    state = Optimizer(schedule="cosine").make(10).init(tree(0))
    assert optim.plateau_scale(state) == 1.0


def test_plateau_needs_the_loss():
    tx = Optimizer(schedule="plateau").make(10)
    with pytest.raises(TypeError, match="value"):
        tx.update(tree(1), tx.init(tree(0)), tree(0))


def test_clip_bounds_the_global_norm_and_leaves_small_gradients():
    optimizer = Optimizer(lr=1.0, momentum=0.0, clip_norm=1.0)
    params = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    large = run(optimizer, params, [{"a": jnp.array([3.0]), "b": jnp.array([4.0])}])
    chex.assert_trees_all_close(large, {"a": jnp.array([-0.6]), "b": jnp.array([-0.8])})
    small = run(optimizer, params, [{"a": jnp.array([0.3]), "b": jnp.array([0.4])}])
    chex.assert_trees_all_close(small, {"a": jnp.array([-0.3]), "b": jnp.array([-0.4])})


FULL = {"lr": 0.1, "weight_decay": 0.1, "clip_norm": 1.5, "schedule": "cosine"}


@pytest.mark.parametrize("rule", ["momentum", "adam", "lars"])
def test_micro_batches_equal_one_big_batch(rule):
    micro = [tree(i) for i in range(1, 13)]
    big = [jax.tree.map(lambda *g: sum(g) / 3, *micro[i : i + 3]) for i in range(0, 12, 3)]
    small_steps = run(Optimizer(rule, accumulate=3, warmup_steps=6, **FULL), tree(0), micro)
    chex.assert_trees_all_close(small_steps, run(Optimizer(rule, warmup_steps=2, **FULL), tree(0), big), rtol=1e-5)


def test_accumulation_moves_only_at_updates_and_logs_the_rate_of_the_update():
    optimizer = Optimizer(lr=1.0, momentum=0.0, accumulate=2, schedule="polynomial", power=1.0)
    one = {"w": jnp.ones(())}
    positions = [run(optimizer, one, [one] * n, steps=8)["w"] for n in range(5)]
    chex.assert_trees_all_close(positions, [1.0, 1.0, 0.0, 0.0, -0.75])
    rate = optim.learning_rate(optimizer, 8)
    chex.assert_trees_all_close([rate(t) for t in range(5)], [1.0, 1.0, 0.75, 0.75, 0.5])


def test_accumulation_with_plateau_sees_the_loss_of_every_batch():
    optimizer = Optimizer(lr=1.0, momentum=0.0, schedule="plateau", accumulate=2, window=2, patience=1, factor=0.5)
    one = {"w": jnp.ones(())}
    # Window means 1, 1: the second is no improvement, though the last loss of each pair falls.
    moved = run(optimizer, {"w": jnp.zeros(())}, [one] * 4, losses=[0.0, 2.0, 1.0, 1.0])
    chex.assert_trees_all_close(moved["w"], jnp.float32(-1.5))


SETTINGS = [
    Optimizer(),
    Optimizer("adam", schedule="step", weight_decay=0.1, decoupled=True, nesterov=True),
    Optimizer("lars", schedule="polynomial", weight_decay=0.1, warmup_steps=2, clip_norm=1.0),
    Optimizer("lars", schedule="plateau", accumulate=2, weight_decay=0.1),
]


@pytest.mark.parametrize("optimizer", SETTINGS)
def test_the_state_is_arrays_and_keeps_its_types(optimizer):
    params = jax.tree.map(jnp.asarray, tree(0))
    tx = optimizer.make(10)
    state = tx.init(params)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    updates, after = jax.jit(tx.update)(params, state, params, value=jnp.float32(1.0))
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert [a.weak_type for a in jax.tree.leaves(after)] == [a.weak_type for a in jax.tree.leaves(state)]
    chex.assert_trees_all_equal_shapes_and_dtypes(updates, params)


def test_options_that_are_off_leave_no_state():
    params = tree(0)
    assert not jax.tree.leaves(Optimizer(momentum=0.0).make(10).init(params))
    assert len(jax.tree.leaves(Optimizer().make(10).init(params))) == len(jax.tree.leaves(params))


def test_one_step_and_fewer_steps_than_accumulate_are_fine():
    params = run(Optimizer(schedule="cosine", accumulate=4), tree(0), [tree(1)])
    chex.assert_trees_all_equal(params, tree(0))
    assert np.isfinite(optim.learning_rate(Optimizer(schedule="cosine"), 0)(0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rule", "sgd"),
        ("schedule", "linear"),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("beta2", 1.0),
        ("trust", 0.0),
        ("weight_decay", -1e-4),
        ("warmup_steps", -1),
        ("milestones", (0.5, 0.5)),
        ("milestones", (30.0, 60.0)),
        ("milestones", (0.0, 0.5)),
        ("factor", 1.0),
        ("power", 0.0),
        ("patience", 0),
        ("warmup_from", 1.0),
        ("window", 0),
        ("clip_norm", -1.0),
        ("accumulate", 0),
    ],
)
def test_values_out_of_range_are_refused_by_field(field, value):
    optimizer = Optimizer()
    object.__setattr__(optimizer, field, value)  # past the type check that only tests have
    with pytest.raises(ValueError, match=rf"^optimizer\.{field} is .*: \S+") as error:
        optimizer.__post_init__()
    assert "\n" not in str(error.value)


def test_a_new_optimizer_is_checked():
    with pytest.raises(ValueError, match=r"optimizer\.lr"):
        Optimizer(lr=-1.0)


def test_lars_with_decoupled_decay_is_refused():
    with pytest.raises(ValueError, match="optimizer.decoupled"):
        Optimizer("lars", decoupled=True)


def test_no_milestones_is_a_constant_rate():
    assert optim.learning_rate(Optimizer(lr=0.5, schedule="step", milestones=()), 10)(9) == 0.5


def test_frozen_parameters_stay_and_do_not_count_for_clipping():
    params = {"trunk": {"conv1": {"kernel": jnp.ones((2, 2))}}, "head": {"kernel": jnp.ones((2, 2))}}
    tx = Optimizer(lr=1.0, momentum=0.0, weight_decay=0.1, clip_norm=1.0, freeze=("trunk/conv1",)).make(10)
    grads = {"trunk": {"conv1": {"kernel": jnp.full((2, 2), 100.0)}}, "head": {"kernel": jnp.full((2, 2), 0.25)}}
    updates, _ = tx.update(grads, tx.init(params), params)
    chex.assert_trees_all_close(updates["trunk"]["conv1"]["kernel"], jnp.zeros((2, 2)))
    chex.assert_trees_all_close(updates["head"]["kernel"], jnp.full((2, 2), -0.35))


def test_a_pattern_that_freezes_nothing_is_named():
    params = {"trunk": {"conv1": {"kernel": jnp.ones((2, 2))}}}
    with pytest.raises(ValueError, match=r"optimizer.freeze: no parameter has 'conv7' .* trunk/conv1/kernel"):
        Optimizer(freeze=("conv1", "conv7")).make(10).init(params)


CAFFE = ("bias$=2", "head/=10")


def multiplied_step(w, g, memory, t, is_kernel):
    """Caffe's: a rate and a decay of its own for each parameter, both in the history of the update."""
    lr, decay = (0.1, 0.2) if is_kernel else (0.2, 0.0)
    v = memory["v"] = 0.9 * memory.get("v", 0.0) + lr * (g + decay * w)
    return w - v


def test_multipliers_of_rate_and_decay_follow_caffe():
    optimizer = Optimizer(lr=0.1, weight_decay=0.2, decay_norms=True, lr_scale=("(bias|scale)$=2",))
    assert_follows(dataclasses.replace(optimizer, decay_scale=("(bias|scale)$=0",)), multiplied_step)
    rate = optim.learning_rate(optimizer, 10)
    assert rate(0) == optim.learning_rate(Optimizer(lr=0.1), 10)(0), "train/lr is the base rate"


def test_factors_of_several_patterns_multiply_also_beside_frozen_layers_and_accumulated_steps():
    params = {"trunk": {"bias": jnp.zeros(2)}, "head": {"kernel": jnp.zeros((1, 2)), "bias": jnp.zeros(2)}}
    grads = jax.tree.map(jnp.ones_like, params)
    optimizer = Optimizer(lr=1.0, momentum=0.0, lr_scale=CAFFE, freeze=("trunk",), accumulate=2)
    tx = optimizer.make(10)
    state = tx.init(params)
    nothing, state = tx.update(grads, state, params)
    updates, _ = tx.update(grads, state, params)
    chex.assert_trees_all_close(nothing, jax.tree.map(jnp.zeros_like, params))
    steps = {"trunk": {"bias": 0.0}, "head": {"kernel": -10.0, "bias": -20.0}}
    chex.assert_trees_all_close(updates, jax.tree.map(lambda step, p: jnp.full_like(p, step), steps, params))


def test_without_decay_norms_a_decay_scale_leaves_biases_alone():
    optimizer = Optimizer(lr=1.0, momentum=0.0, weight_decay=0.5, decay_scale=("conv=2",))
    params = tree(0)
    updates, _ = (tx := optimizer.make(1)).update(jax.tree.map(np.zeros_like, params), tx.init(params), params)
    chex.assert_trees_all_close(updates["conv"]["kernel"], -params["conv"]["kernel"], rtol=1e-6)
    assert not np.any(updates["conv"]["bias"]) and not np.any(updates["bn"]["scale"])


@pytest.mark.parametrize("flag", ["lr_scale", "decay_scale"])
def test_multipliers_that_match_nothing_or_cannot_be_read_are_named(flag: str):
    with pytest.raises(ValueError, match=rf"optimizer.{flag}: no parameter has 'fc9' in its path, such as bn/scale"):
        Optimizer(weight_decay=0.1, **{flag: ("conv=2", "fc9=10")}).make(10).init(tree(0))
    for entry in ("bias", "bias=", "=2", "bias=-1", "bias=nan", "(=2"):
        with pytest.raises(ValueError, match=rf"optimizer.{flag}: .* is not PATTERN=FACTOR"):
            Optimizer(**{flag: (entry,)})
