"""The networks of the papers, as Flax modules that return every intermediate map by its name.

The names below can be imported from here; heads, necks and building blocks are in the modules, one network a file.
"""

from jaxvision.models.alexnet import AlexNet
from jaxvision.models.dcgan import Discriminator, Encoder, Generator
from jaxvision.models.deconvnet import DeconvNet
from jaxvision.models.encoder_decoder import EncoderDecoder
from jaxvision.models.faster_rcnn import FasterRCNN
from jaxvision.models.fcn import FCN
from jaxvision.models.fcn_resnet import FCNResNet, FCNResNet50, FCNResNet101
from jaxvision.models.fpn import FPN
from jaxvision.models.googlenet import GoogLeNet
from jaxvision.models.patch_classifier import PatchClassifier
from jaxvision.models.resnet import CifarResNet, ResNet, ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
from jaxvision.models.segnet import SegNet
from jaxvision.models.ssl_heads import ProjectionHead
from jaxvision.models.unet import UNet
from jaxvision.models.vgg import VGG, VGG11, VGG13, VGG16, VGG19
from jaxvision.models.yolo import YOLO

__all__ = [
    "AlexNet",
    "CifarResNet",
    "DeconvNet",
    "Discriminator",
    "Encoder",
    "EncoderDecoder",
    "FasterRCNN",
    "FCN",
    "FCNResNet",
    "FCNResNet101",
    "FCNResNet50",
    "FPN",
    "Generator",
    "GoogLeNet",
    "PatchClassifier",
    "ProjectionHead",
    "ResNet",
    "ResNet101",
    "ResNet152",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "SegNet",
    "UNet",
    "VGG",
    "VGG11",
    "VGG13",
    "VGG16",
    "VGG19",
    "YOLO",
]
