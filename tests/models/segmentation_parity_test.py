"""Random torchvision FCNs, renamed layer for layer, give the same logits, side classifier included."""

import jax
import numpy as np
import pytest

from jaxvision.models.fcn_resnet import FCNResNet

pytestmark = pytest.mark.peer
torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from tests.models.torchvision_parity_test import _randomised, taken_over  # noqa: E402


def randomised(make: str) -> "torch.nn.Module":
    torch.manual_seed(0)
    return _randomised(
        getattr(torchvision.models.segmentation, make)(weights=None, weights_backbone=None, aux_loss=True)
    )


@pytest.mark.parametrize(("make", "depth"), [("fcn_resnet50", 50), ("fcn_resnet101", 101)])
def test_logits_are_torchvisions(make: str, depth: int) -> None:
    net, model = FCNResNet(21, depth), randomised(make)
    variables = taken_over(net, model, 33, train=True)
    apply = jax.jit(lambda v, x: net.apply(v, x, train=False))
    for size in ((65, 97), (64, 64), (51, 80))[: 3 if depth == 50 else 1]:
        x = np.random.default_rng(0).normal(size=(1, *size, 3)).astype(np.float32)
        with torch.no_grad():
            wanted = model(torch.from_numpy(x.transpose(0, 3, 1, 2)))["out"].numpy().transpose(0, 2, 3, 1)
        scale = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(np.asarray(apply(variables, x)["logits"]), wanted, atol=1e-4 * scale)
