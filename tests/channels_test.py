import numpy as np

from jaxvision.channels import IMAGENET_MEAN, IMAGENET_STD


def test_imagenets_channels_are_the_usual_ones_in_0_to_255():
    np.testing.assert_allclose(np.array(IMAGENET_MEAN) / 255, [0.485, 0.456, 0.406], atol=1e-6)
    np.testing.assert_allclose(np.array(IMAGENET_STD) / 255, [0.229, 0.224, 0.225], atol=1e-6)
