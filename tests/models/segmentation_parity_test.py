"""Random torchvision FCNs, renamed layer for layer, give the same logits, side classifier included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.fcn_resnet import FCNResNet

pytestmark = pytest.mark.peer
torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from tests.models.torchvision_parity_test import _leaf, _randomised, _resnet_name  # noqa: E402

HEADS = {"classifier.": "head.", "aux_classifier.": "aux_head."}
PARTS = {"0": "conv", "1": "bn", "4": "score"}


def renamed(name: str) -> tuple[list[str], str]:
    """The layers on the way to one of torch's tensors, and the tensor's own name."""
    module, field = name.rsplit(".", 1)
    for theirs, ours in HEADS.items():
        if module.startswith(theirs):
            return [ours.rstrip("."), PARTS[module.removeprefix(theirs)]], field
    return ["backbone", *_resnet_name(module.removeprefix("backbone.")).split(".")], field


def randomised(make: str) -> "torch.nn.Module":
    torch.manual_seed(0)
    return _randomised(
        getattr(torchvision.models.segmentation, make)(weights=None, weights_backbone=None, aux_loss=True)
    )


def variables_of(net: FCNResNet, model: "torch.nn.Module") -> dict:
    x = jnp.zeros((1, 33, 33, 3))
    variables = jax.eval_shape(lambda: net.init(jax.random.PRNGKey(0), x, train=True))
    found: dict = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        path, field = renamed(name)
        collection, key, value = _leaf(tensor.numpy(), field, ())
        node = found.setdefault(collection, {})
        for part in path:
            node = node.setdefault(part, {})
        node[key] = value
    assert jax.tree.structure(variables) == jax.tree.structure(found)
    assert jax.tree.all(jax.tree.map(lambda a, b: a.shape == b.shape, variables, found))
    return found


@pytest.mark.parametrize(("make", "depth"), [("fcn_resnet50", 50), ("fcn_resnet101", 101)])
def test_logits_are_torchvisions(make: str, depth: int) -> None:
    net, model = FCNResNet(21, depth), randomised(make)
    variables = variables_of(net, model)
    apply = jax.jit(lambda v, x: net.apply(v, x, train=False))
    for size in ((65, 97), (64, 64), (51, 80))[: 3 if depth == 50 else 1]:
        x = np.random.default_rng(0).normal(size=(1, *size, 3)).astype(np.float32)
        with torch.no_grad():
            wanted = model(torch.from_numpy(x.transpose(0, 3, 1, 2)))["out"].numpy().transpose(0, 2, 3, 1)
        scale = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(np.asarray(apply(variables, x)["logits"]), wanted, atol=1e-4 * scale)
