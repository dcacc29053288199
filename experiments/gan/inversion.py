"""GAN inversion: the latents and changes that make a generator draw a given image (Bau et al. 2019, arXiv:1910.11626).

python launch.py --experiment=gan/inversion
python launch.py --experiment=gan/inversion --dissect.layer=layer2 --invert.late=image

The first, seed 0, after the stages of gan/dissection, 2.4 CPU minutes on two shared cores; mean PSNR of 32 images, dB:

                    encoder   latent   layer   tuned
    its own            23.0     33.6    45.9    46.1
    held-out scenes    20.6     23.4    33.9    42.1

After 300 steps the encoder finds little more than the background; the search for the latent finds the objects.
"""

import dataclasses

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.dissection import Dissect, DissectionSetup, concept_source
from jaxvision.recipes.gan import full_size, smoke
from jaxvision.recipes.inversion import InversionConfig, InversionSetup, Invert
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(InversionConfig):
    """Fields are flags; `quick` is the default preset."""


PRESETS = {
    "quick": Config(),
    "paper": full_size(  # the paper inverts progressive GANs of 256 pixels, which this generator is not
        Config(
            data="tfds:oxford_iiit_pet",
            dissect=Dissect("classes", "layer2", 1.0, 5, 40_000, 10_000, units=20),
            invert=Invert(("layer3", "bn3", "image"), 0.05, 8, 0.01, 0.1, 50_000, 3000, 1500, 1000),
        )
    ),
    "smoke": smoke(
        Config(
            data="scenes:count=64,size=32",
            batch_size=8,
            dissect=Dissect(width=1 / 16, levels=2, segmenter_steps=2, alpha_steps=2, units=1),
            invert=Invert(restarts=2, encoder_steps=2, latent_steps=2, layer_steps=2, tuned_steps=2),
        )
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train and dissect a generator; then invert images that it draws and images that it never saw, in four stages."""
    dissection = DissectionSetup(concept_source(config, inputs), config, inputs)
    setup, settings = InversionSetup(dissection, config), config.invert
    dissected = dissection.dissection()
    encoder = setup.encoder()
    latent = setup.search("latent", settings.latent_steps, settings.latent, encoder, restarts=settings.restarts)
    layer = setup.search("layer", settings.layer_steps, settings.residual, latent, l2=settings.residual_l2)
    tuned = setup.search("tuned", settings.tuned_steps, settings.weights, layer, l2=settings.weights_l2)
    edited = setup.edited(tuned, dissected)
    return Experiment((dissection.players(), dissection.segmenter(), dissected, encoder, latent, layer, edited))
