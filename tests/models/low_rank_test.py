import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.box_head import TwoFCHead, VGGHead
from jaxvision.models.low_rank import truncate

FEATURES = jax.random.normal(jax.random.PRNGKey(1), (5, 3, 3, 8))
HEADS = {"two": TwoFCHead(4, 24), "vgg": VGGHead(4, 24)}


def trained(head) -> dict:
    return head.init({"params": jax.random.PRNGKey(0), "dropout": jax.random.PRNGKey(2)}, FEATURES, train=False)[
        "params"
    ]


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("ranks", [(24, 24), (24, 0), (0, 24)])
def test_full_rank_changes_nothing(name: str, ranks: tuple[int, int]):
    head, params = HEADS[name], trained(HEADS[name])
    whole = head.apply({"params": params}, FEATURES, train=False)
    thin = head.clone(ranks=ranks).apply({"params": truncate(params, ranks)}, FEATURES, train=False)
    for one, other in zip(whole, thin, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_parameters_are_those_of_the_network_of_that_rank():
    for head in HEADS.values():
        expected = jax.eval_shape(lambda head=head: trained(head.clone(ranks=(5, 2))))
        found = truncate(trained(head), (5, 2))
        assert jax.tree.map(jnp.shape, found) == jax.tree.map(lambda leaf: leaf.shape, expected)


def test_lower_ranks_are_the_nearest_and_fewer_numbers():
    params = trained(HEADS["two"])
    errors, sizes = [], []
    for rank in (1, 4, 12, 24):
        layer = truncate(params, (rank, 0))["fc6"]
        product = layer["down"]["kernel"] @ layer["up"]["kernel"]
        errors.append(float(jnp.square(product - params["fc6"]["kernel"]).sum()))
        sizes.append(layer["down"]["kernel"].size + layer["up"]["kernel"].size)
        values = np.linalg.svd(params["fc6"]["kernel"], compute_uv=False)
        assert errors[-1] == pytest.approx(np.square(values[rank:]).sum(), abs=1e-4)  # Eckart & Young
    assert sizes == [96 * r for r in (1, 4, 12, 24)] and errors == sorted(errors, reverse=True)


def test_a_rank_that_is_none_is_named():
    params = trained(HEADS["two"])
    for ranks in ((25, 0), (0, -1)):
        with pytest.raises(ValueError, match="has rank 24; choose from 1 to that, or 0 for the whole layer"):
            truncate(params, ranks)
