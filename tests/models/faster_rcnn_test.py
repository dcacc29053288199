import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.faster_rcnn import RoIs, resnet_c4, resnet_fc, resnet_fpn, vgg16, with_pyramid
from jaxvision.models.norms import FrozenBatchNorm, GroupNorm
from jaxvision.models.rpn import Anchors

FROZEN = 53_120  # scales and biases of ResNet-50's batch norms, which torchvision does not count when they are frozen


def shapes_of(model, size: int = 64) -> dict:
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    keys = {"params": jax.random.PRNGKey(0), "dropout": jax.random.PRNGKey(1)}
    return jax.eval_shape(lambda x: model.init(keys, x, train=True), image)


def count(tree) -> int:
    return sum(int(np.prod(s.shape)) for s in jax.tree.leaves(tree))


def test_parameters_of_torchvisions_networks():
    assert count(shapes_of(resnet_fpn(91, norm=FrozenBatchNorm))["params"]) == 41_755_286 + FROZEN
    assert count(shapes_of(resnet_fpn(91, masks=True, norm=FrozenBatchNorm))["params"]) == 44_401_393 + FROZEN


def test_parameters_of_the_papers_network():
    shapes = shapes_of(vgg16(21))["params"]
    assert count(shapes["backbone"]) == 14_714_688
    assert count(shapes["rpn"]) == 512 * 512 * 9 + 512 + 513 * 45
    assert set(shapes) == {"backbone", "rpn", "box_head"}


def test_a_c4_network_shares_its_last_stage():
    shapes = shapes_of(resnet_c4(81, masks=True))["params"]
    assert set(shapes) == {"backbone", "rpn", "box_head", "mask_head"}
    assert not any(name.startswith("layer4") for name in shapes["backbone"])
    assert set(shapes["mask_head"]) == {"deconv", "logits"}


@pytest.mark.parametrize(
    ("model", "mask_side"),
    [
        (resnet_fpn(5, depth=18, width=0.0625, masks=True, norm=GroupNorm), 28),
        (resnet_c4(5, width=0.0625, masks=True), 14),
        (vgg16(5, width=0.0625), 0),
        (resnet_fc(5, width=0.0625), 0),
        (resnet_fc(5, width=0.0625, masks=True, stride=16), 28),
    ],
    ids=["fpn", "c4", "vgg16", "fc", "fc with masks"],
)
def test_shapes_of_every_part(model, mask_side: int):
    image, rois = jnp.zeros((2, 64, 96, 3)), jnp.tile(jnp.array([[[0.0, 0, 40, 30]]]), (2, 3, 1))

    def look(net):
        maps = net.features(image, train=False)
        levels = net.propose(maps, (64, 96))
        return maps, levels, net.box(maps, rois, train=False), net.mask(maps, rois, train=False) if mask_side else None

    shapes = shapes_of(model)
    maps, levels, (logits, offsets), masks = jax.eval_shape(lambda v: model.apply(v, method=look), shapes)
    assert len(levels) == len(maps) == (5 if "p2" in maps else 1)
    assert logits.shape == (2, 3, 5) and offsets.shape == (2, 3, 5, 4)
    if mask_side:
        assert masks.shape == (2, 3, mask_side, mask_side, 5)
    strides = [64 // m.shape[1] for m in maps.values()]
    assert strides == ([4, 8, 16, 32, 64] if len(maps) == 5 else [8 if "layer3" in maps and not mask_side else 16])


def test_without_an_rpn_proposals_come_from_elsewhere():
    shapes = shapes_of(vgg16(21).clone(rpn=None))["params"]
    assert set(shapes) == {"backbone", "box_head"}
    assert count(shapes) == count(shapes_of(vgg16(21))["params"]) - (512 * 512 * 9 + 512 + 513 * 45)


def test_every_roi_operation_on_a_single_map():
    maps = {"m": jnp.ones((1, 8, 8, 3))}
    rois = jnp.array([[[16.0, 16, 80, 80]]])
    for operation in ("align", "pool", "warp"):
        found = RoIs({"m": 16}, operation=operation).features(maps, rois, 2)
        np.testing.assert_allclose(found, np.ones((1, 2, 2, 3)), atol=1e-6)
    with pytest.raises(ValueError, match="choose align, or on a single map pool or warp"):
        RoIs({"m": 16, "n": 32}, operation="pool").features({**maps, "n": maps["m"]}, rois, 2)


class OwnBackbone(nn.Module):
    """Four maps under names that no ResNet has, and one that the detector does not ask for."""

    @nn.compact
    def __call__(self, images, *, train: bool):
        maps = {f"stride{s}": nn.Conv(8, (s, s), (s, s), name=f"conv{s}")(images) for s in (4, 8, 16, 32)}
        return {**maps, "pool": images.mean((1, 2))}


def test_any_backbone_with_four_maps_makes_a_detector():
    model = with_pyramid(5, OwnBackbone(), ("stride4", "stride8", "stride16", "stride32"), width=0.0625)
    shapes = shapes_of(model)
    assert set(shapes["params"]["backbone"]) == {"conv4", "conv8", "conv16", "conv32"}
    image = jnp.zeros((1, 64, 64, 3))
    maps = jax.eval_shape(lambda v: model.apply(v, image, train=False, method="features"), shapes)
    assert {name: m.shape[1:] for name, m in maps.items()} == {
        f"p{i}": (s, s, 16) for i, s in zip(range(2, 7), (16, 8, 4, 2, 1), strict=True)
    }


def test_c4_needs_bottlenecks():
    with pytest.raises(ValueError, match="choose 50, 101 or 152"):
        resnet_c4(5, depth=18)


def test_anchors_reach_the_network():
    shapes = shapes_of(vgg16(5, width=0.0625, anchors=Anchors(((32.0, 64.0),), (1.0,))))
    assert shapes["params"]["rpn"]["offsets"]["kernel"].shape[-1] == 8
