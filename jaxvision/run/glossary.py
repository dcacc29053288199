"""The meaning of every metric in a clause: the tooltips of reports, and docs/metrics.md.

python -m jaxvision.run.glossary  # prints docs/metrics.md
"""

import functools
import re
import sys
from typing import NamedTuple


class Entry(NamedTuple):
    """The meaning of the metrics whose names fit a pattern."""

    area: str  # the heading that it stands under
    shown: str  # the name in the table
    pattern: str  # of what follows the last slash, or of the whole name; the first entry that fits counts
    meaning: str


_TABLE = r"""
## Training
loss :: loss
    what the training makes smaller; lower is better
loss_… :: loss_.*
    a part of the loss; lower is better
lr :: lr(_.*)?|learning_rate
    the learning rate of that step
time/steps_per_second :: time/steps_per_second
    training steps a second, without compiling
time/…_seconds :: time/.*_seconds
    seconds that the stage took, without evaluations
gradient/…, gradient_at_0/… :: gradient(_at_0)?/.*
    length of the gradient of that layer's kernels on one batch; gradient_at_0: before the first step
gradient_… :: grad_norm.*|gradient_.*
    length of the gradient, over all parameters
## Classification
judge/accuracy, probe/accuracy :: (judge|probe)/accuracy
    share of held-out images that the judge or the linear probe names rightly
knn/accuracy :: knn/accuracy
    share of held-out images whose nearest neighbours by features vote for the right class
accuracy :: accuracy
    share of the images (of pixels, in segmentation) whose most probable class is right; higher is better
error :: error
    share of the images whose most probable class is wrong; fit/error is of training images without augmentation
top5 :: top(\d+)
    share of the images whose class is among the 5 most probable ones
nll :: nll
    mean negative logarithm of the true class's probability: the loss on held-out images
ece :: ece
    expected calibration error: mean distance of a prediction's probability from the share of such predictions
    that are right; 0 is best
most_frequent :: most_frequent
    accuracy of always naming the most frequent class, which any use of the image has to beat
## Segmentation
mean_iou :: mean_iou
    mean over the classes of intersection over union of predicted and true pixels; higher is better
iou_… :: iou_(.*)
    intersection over union of the predicted and true pixels of that class
accuracy_to_…px, accuracy_farther :: accuracy_(to_\d+px|farther)
    share of right pixels among those at most so far from a pixel with another label, and farther than the entry before
pixel_accuracy :: pixel_accuracy
    share of the pixels whose class is right
mean_accuracy :: mean_accuracy
    mean over the classes of the share of their pixels that are right
frequency_weighted_iou :: frequency_weighted_iou
    intersection over union, classes weighted by their pixels
valid_classes :: valid_classes
    classes that were labelled or predicted, over which the mean is taken
## Detection
AP :: AP
    COCO's average precision: mean over the classes and over IoU thresholds from 0.5 to 0.95; higher is better
AP50, AP75 :: AP(\d\d)
    average precision where a detection counts from an IoU of 0.5 (0.75) with an object
AP_small, AP_medium, AP_large :: AP_(small|medium|large)
    average precision of objects below 32², up to 96² and above 96² pixels
AP50_unmoved :: AP\d\d_unmoved|AP_unmoved
    average precision of the boxes before regression
AP50_… :: AP\d\d_.*
    average precision of that class at an IoU of 0.5
mask_AP, mask_AP50, … :: mask_A[PR].*
    the same, with masks compared in the place of boxes
AR_100 :: AR_(\d+)
    recall by that many detections of an image, mean over IoU thresholds from 0.5 to 0.95
mabo :: proposals/mabo|mabo
    mean over the classes of the best overlap that an object has with a proposal
recall50, recall_… :: (proposal_)?recall\w*
    share of the objects that some proposal covers
misalignment/… :: misalignment/.*
    mean distance in pixels of the bins of that RoI operation from those of objects' boxes; …_varying: without the
    mean shift
proposals/an_image :: .*an_image
    mean number of proposals of an image
images :: images
    images that were evaluated
objects :: objects
    objects that count in the evaluation
ignored_objects :: ignored_objects
    objects that neither help nor harm: crowds and difficult ones
unread_images :: unread_images
    images that could not be read
left_out_annotations :: left_out_annotations
    annotations that the reader could not use, of all splits
…_megabytes :: .*megabytes
    size on disk of what the stage left there
…_seconds :: .*seconds
    seconds, measured on this machine
…_ms :: .*milliseconds|ms_.*|.*_ms
    milliseconds an image, measured on this machine
## GANs
fid_resnet18_running, fid_… :: fid_(.*)
    Fréchet distance between the features of samples and of real images by the network that the name says, with
    the generator's statistics that the last word says; lower is better, and only figures by the same judge may
    be compared
kid_… :: kid_.*
    kernel distance between the features of samples and of real images; 0 is best
inception_score_… :: inception_score_.*
    how sure the judge is of each sample, and how different samples are; higher is better
precision_… :: precision_.*
    share of the samples that lie among real images: how good they are
recall_… :: recall_.*
    share of the real images that lie among samples: how various these are
conditional_accuracy :: conditional_accuracy
    share of the samples that the judge takes for the class that was asked for
alarm/collapse :: alarm/collapse
    1 if the generator collapsed or a player has won outright, else 0
diversity :: diversity.*
    how much the samples of a batch vary beside real images: 1 as much, 0 where they are all the same
fake_probability :: fake_probability
    D(G(z)): mean probability that the discriminator gives a sample of being real, as the generator learns from it
real_accuracy, fake_accuracy :: (real|fake)_accuracy
    share of the real images (samples) that the discriminator tells as such; near 0.5 it cannot tell them
real_score, fake_score :: (real|fake)?_?score.*
    mean logit of the discriminator: above 0 it takes images for real
modes_covered :: modes_covered
    number of the mixture's Gaussians with a sample within three standard deviations
rarest_mode :: rarest_mode
    share of the samples at the Gaussian with the fewest, times the number of Gaussians: 1 is even
within_3_sigma :: within_3_sigma
    share of the samples within three standard deviations of a Gaussian
units_named :: units_named
    units of the generator that agree with some concept
effect_… :: effect_.*
    share of a concept's pixels that the units' ablation removes or insertion adds
area_left_… :: area_left_.*
    share of a concept's pixels that are left without its units
psnr :: psnr_.*|psnr
    peak signal-to-noise ratio in decibels between an image and its reconstruction; higher is better
features_… :: features_.*
    distance of an image and its reconstruction by the discriminator's maps
## Self-supervised learning
pretext_accuracy :: pretext_accuracy
    share of the pretext questions on held-out images that are answered rightly
probe/lr :: probe/lr
    learning rate of the best of the linear heads
ab_error :: ab_error
    mean distance of the predicted from the true colour, in Lab's a and b
ab_error_grey :: ab_error_grey
    the same for grey, which any colourisation has to beat
auc :: auc\w*
    area under the share of the pixels within each distance of the true colour
l1, l2 :: l1|l2\w*
    mean absolute and squared error of the pixels that were filled in
align, spread :: align|spread|similarity.*|.*cosine.*
    how near two views of an image are, and how far apart different images
"""
# A line "shown :: pattern" begins an entry; the indented lines below it are its meaning.


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Return the glossary in its order."""
    found: list[Entry] = []
    area = ""
    for line in _TABLE.strip().splitlines():
        if line.startswith("## "):
            area = line[3:]
        elif line.startswith("    "):
            found[-1] = found[-1]._replace(meaning=f"{found[-1].meaning} {line.strip()}".strip())
        else:
            shown, _, pattern = line.partition(" :: ")
            found.append(Entry(area, shown, pattern, ""))
    return tuple(found)


def meaning(name: str) -> str:
    """Return what a metric means, "" where it is not known.

    Args:
        name: the metric, such as "val/AP50".
    """
    last = name.rpartition("/")[2]
    for entry in entries():
        if re.fullmatch(entry.pattern, name) or re.fullmatch(entry.pattern, last):
            return entry.meaning
    return ""


def as_markdown() -> str:
    """Return docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "What the figures in `metrics.jsonl`, TensorBoard and `report.html` mean. Before the slash stands what was",
        "measured: `train/` a mean over the last steps, `val/` the held-out split, `judge/`, `probe/` and `knn/` what",
        "another network or a vote of neighbours makes of it. `python -m jaxvision.run.glossary` prints this page.",
    ]
    area = ""
    for entry in entries():
        if entry.area != area:
            area = entry.area
            lines += ["", f"## {area}", "", "| metric | meaning |", "| --- | --- |"]
        lines.append(f"| `{entry.shown}` | {entry.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
