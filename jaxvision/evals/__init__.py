"""Metrics over a whole data set, accumulated on the host, and the figures that they are made of.

scikit-learn is imported by those that need it, when they run.
"""

from jaxvision.evals.classification import accuracy, confusion_matrix, nll
from jaxvision.evals.coco_ap import coco_ap
from jaxvision.evals.embedding import pca, tsne
from jaxvision.evals.feature_sets import kid, precision_recall
from jaxvision.evals.frechet import frechet, frechet_distance
from jaxvision.evals.gan import inception_score
from jaxvision.evals.inversion import image_psnr
from jaxvision.evals.linear_svm import svm_accuracy
from jaxvision.evals.means import means
from jaxvision.evals.proposal_recall import proposal_recall
from jaxvision.evals.segmentation import confusion as mean_iou
from jaxvision.evals.voc_ap import voc_ap

__all__ = [
    "accuracy",
    "coco_ap",
    "confusion_matrix",
    "frechet",
    "frechet_distance",
    "image_psnr",
    "inception_score",
    "kid",
    "mean_iou",
    "means",
    "nll",
    "pca",
    "precision_recall",
    "proposal_recall",
    "svm_accuracy",
    "tsne",
    "voc_ap",
]
