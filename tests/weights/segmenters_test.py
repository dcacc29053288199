"""torchvision's FCNs give the same logits here."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.fcn_resnet import FCNResNet
from jaxvision.weights import torchvision
from jaxvision.weights.rename import flat
from tests.weights.peers import MEAN, STD, assert_close, photos, randomised, through_a_file, to_torch, variables_of
from tests.weights.torch_bytes import saved


@pytest.mark.peer
@pytest.mark.parametrize("depth", [50, 101])
def test_logits_are_torchvisions(tmp_path: Path, depth: int):
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    torch.manual_seed(0)
    make = getattr(peer.models.segmentation, f"fcn_resnet{depth}")
    torch_model = randomised(make(weights=None, weights_backbone=None, aux_loss=True))
    imported, model = through_a_file(torch_model, tmp_path), FCNResNet(21, depth)
    assert imported.class_names[:2] == ("background", "aeroplane")
    variables = variables_of(model, imported)
    apply = jax.jit(lambda v, x: model.apply(v, x, train=False)["logits"])
    for size in ((65, 97), (64, 64), (51, 80))[: 3 if depth == 50 else 1]:
        x = ((photos(*size)[:1] - MEAN) / STD).astype(np.float32)
        with torch.no_grad():
            theirs = torch_model(to_torch(x))["out"].numpy().transpose(0, 2, 3, 1)
        assert_close(apply(variables, x), theirs)


def test_our_network_there_and_back_also_without_its_side_classifier(filled: Callable[..., dict], tmp_path: Path):
    variables = filled(FCNResNet(21, 50, width=0.0625), jnp.zeros((1, 33, 33, 3)))
    name, tensors = torchvision.write(variables)
    before = flat(variables)
    for side in (True, False):
        kept = {name: value for name, value in tensors.items() if side or not name.startswith("aux")}
        imported = torchvision.read(str(saved(tmp_path / f"{side}.pth", kept)))
        back = flat(imported.variables)
        assert name == imported.network == "fcn_resnet" and (len(back) == len(before)) == side
        assert all(np.array_equal(value, before[path]) for path, value in back.items())
