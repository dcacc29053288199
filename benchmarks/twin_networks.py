"""The networks of `twins` in torch: ResNet-20, FCN-8s on a narrow VGG-16, Faster R-CNN, and DCGAN's players."""

import itertools
from typing import Any

import torch
from narrow import group_norm, narrowed
from torch import nn
from torch.nn import functional as F

VGG16 = (2, 2, 3, 3, 3)  # convolutions of each block


class Block(nn.Module):
    """Two convolutions and a shortcut of option A (He et al. 2016, sections 3.3 and 4.2)."""

    def __init__(self, channels: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.added = stride, outputs - channels
        self.conv1 = nn.Conv2d(channels, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))
        return F.relu(y + shortcut)


def resnet20(classes: int) -> nn.Module:
    """Make the network of section 4.2 with n = 3."""
    widths = [16, 16, 32, 64]
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True)]
    for stage, (before, channels) in enumerate(itertools.pairwise(widths)):
        for i in range(3):
            layers.append(Block(channels if i else before, channels, 2 if stage and not i else 1))
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))
    return he_normal(net)


def he_normal(net: nn.Module) -> nn.Module:
    """Draw convolutions as torchvision's ResNet does: normal, of a variance of 2 over the outputs' fan."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return net


class FCN8s(nn.Module):
    """FCN-8s on VGG-16 with batch norm, fc6 padded so that maps lie on each other (Long et al. 2015, figure 3)."""

    def __init__(self, classes: int, width: float, window: int, hidden: int) -> None:
        super().__init__()
        self.blocks, channels = nn.ModuleList(), 3
        for count, full in zip(VGG16, (64, 128, 256, 512, 512), strict=True):
            layers: list[nn.Module] = []
            for _ in range(count):
                layers += [nn.Conv2d(channels, round(full * width), 3, 1, 1)]
                channels = round(full * width)
                layers += [nn.BatchNorm2d(channels), nn.ReLU(True)]
            self.blocks.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        units = round(hidden * width)
        fc6, fc7 = nn.Conv2d(channels, units, window, padding=window // 2), nn.Conv2d(units, units, 1)
        self.head = nn.Sequential(fc6, nn.ReLU(), fc7, nn.ReLU())
        self.scores = nn.ModuleList(nn.Conv2d(c, classes, 1) for c in (units, round(512 * width), round(256 * width)))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(classes, classes, 4, 2, 1, bias=False) for _ in range(2))
        self.register_buffer("finest", _bilinear(16)[None, None].repeat(classes, 1, 1, 1))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        for score in self.scores:
            nn.init.zeros_(score.weight)
        for up in self.ups:
            with torch.no_grad():
                up.weight.copy_(torch.eye(classes)[:, :, None, None] * _bilinear(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[2:]
        x = F.pad(x, (0, -size[1] % 32, 0, -size[0] % 32))
        pools = []
        for block in self.blocks:
            x = block(x)
            pools.append(x)
        x = self.scores[0](self.head(x))
        for up, score, pool in zip(self.ups, self.scores[1:], (pools[3], pools[2]), strict=True):
            x = up(x) + score(pool)
        x = F.conv_transpose2d(x, self.finest, stride=8, padding=4, groups=x.shape[1])
        return x[:, :, : size[0], : size[1]]


def _bilinear(side: int) -> torch.Tensor:
    """Return the kernel that interpolates between values `side` / 2 pixels apart."""
    ramp = 1 - (torch.arange(side) - (side - 1) / 2).abs() / (side / 2)
    return ramp[:, None] * ramp[None]


def faster_rcnn(classes: int, settings: Any) -> Any:
    """Make torchvision's Faster R-CNN with the sizes and counts of our settings, and torchvision's initialisation."""
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    network, first, second = settings.network, settings.proposing, settings.detecting
    sizes = tuple((int(size),) for size in network.anchor_sizes)
    backbone = resnet_fpn_backbone(
        backbone_name=f"resnet{network.depth}", weights=None, norm_layer=group_norm, trainable_layers=5
    )
    model = FasterRCNN(
        backbone,
        classes,
        rpn_anchor_generator=AnchorGenerator(sizes, (tuple(network.anchor_ratios),) * len(sizes)),
        rpn_pre_nms_top_n_train=first.train_before_nms,
        rpn_post_nms_top_n_train=first.train_after_nms,
        rpn_pre_nms_top_n_test=first.test_before_nms,
        rpn_post_nms_top_n_test=first.test_after_nms,
        rpn_batch_size_per_image=first.samples,
        rpn_positive_fraction=first.positives / first.samples,
        box_batch_size_per_image=second.samples,
        box_positive_fraction=second.positives / second.samples,
        box_score_thresh=second.score_threshold,
        box_nms_thresh=second.nms_iou,
        box_detections_per_img=second.detections,
    )
    model = narrowed(model, network.width, ("cls_logits", "bbox_pred", "cls_score"))
    he_normal(model.backbone.body)
    for layer in model.backbone.fpn.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)
    for layer in model.rpn.head.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
    return model


def players(size: int, width: float, latent_dim: int, channels: int = 3) -> tuple[nn.Module, nn.Module]:
    """Make generator and discriminator of Radford et al. 2016 with kernels of 4, drawn from N(0, 0.02²)."""
    widths = [round(128 * width) * 2**i for i in range({16: 2, 32: 3, 64: 4}[size])]
    pairs = list(itertools.pairwise(widths))
    up = [nn.ConvTranspose2d(latent_dim, widths[-1], 4, bias=False), nn.BatchNorm2d(widths[-1]), nn.ReLU(True)]
    for into, out in ((b, a) for a, b in reversed(pairs)):
        up += [nn.ConvTranspose2d(into, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(True)]
    up += [nn.ConvTranspose2d(widths[0], channels, 4, 2, 1), nn.Tanh()]
    down = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for into, out in pairs:
        down += [nn.Conv2d(into, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out), nn.LeakyReLU(0.2, True)]
    down += [nn.Conv2d(widths[-1], 1, 4), nn.Flatten(0)]
    nets = nn.Sequential(*up), nn.Sequential(*down)
    for layer in (one for net in nets for one in net.modules() if hasattr(one, "weight")):
        nn.init.normal_(layer.weight, 1.0 if isinstance(layer, nn.BatchNorm2d) else 0.0, 0.02)
    return nets
