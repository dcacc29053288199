"""The judge of a GAN: a network that learned from the same images, by whose features samples are compared with them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import flax.linen as nn
import numpy as np

from jaxvision.data import crops
from jaxvision.data.latents import Prior
from jaxvision.data.records import has_classes
from jaxvision.data.seeds import with_seed
from jaxvision.evals.classification import accuracy, most_frequent
from jaxvision.evals.feature_sets import kid, precision_recall
from jaxvision.evals.frechet import frechet
from jaxvision.evals.gan import class_accuracy, inception_score, of_blurred_noise
from jaxvision.evals.latent_space import between
from jaxvision.evals.means import means
from jaxvision.models.precision import in_precision
from jaxvision.models.pretext_heads import PieceClassifier
from jaxvision.recipes.backbone import Backbone
from jaxvision.recipes.gan import GanConfig, GanSetup, draw_samples
from jaxvision.tasks import collapse
from jaxvision.tasks.classification import classification
from jaxvision.tasks.encoder import encoder_variables
from jaxvision.tasks.extractor import Extractor, classifier, judged_by
from jaxvision.tasks.pretext import pretext
from jaxvision.tasks.questions import rotation
from jaxvision.train.devices import first_batch
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Batch, Data, Hook, Metric, Predict, PyTree, Result, Stage, TrainState
from jaxvision.train.writer import read_metrics
from jaxvision.viz import gan as viz

WarmStart = Callable[[TrainState, Mapping[str, TrainState]], TrainState]

TURNS = 4  # answers of a judge that tells by which of four angles an image was turned
LEAST_SKILL = 0.2  # of a judge that is trusted: its accuracy above chance, as a part of what there is above chance
INTERPOLATED = 8  # samples between one latent and another, both included


@dataclasses.dataclass(frozen=True)
class JudgedGanConfig(GanConfig):
    """The settings of a GAN whose samples are compared with real images by the features of a judge."""

    data: str = "digits"  # digits, idx:DIR, folder:DIR, tfds:cifar10; of tfds also sets without labels
    extractor: str = "judge"  # network that samples are compared by: judge, which learns first, or inception:FILE
    judge_steps: int = 300  # training steps of the judge
    judge: Backbone = Backbone()  # network of the judge


@dataclasses.dataclass(frozen=True)
class GanJudge:
    """The judge's own stage, and the hooks that compare a GAN's samples with real images by its features.

    The judge is a residual network that learns to name the images' classes. Images without labels, or all of one class,
    teach it to tell by which of four angles they were turned (Gidaris et al. 2018), and metric keys say so.
    """

    setup: GanSetup
    steps: int  # training steps of the judge
    network: Backbone = Backbone()  # of the judge, which metric keys name by its depth

    @cached_property
    def labelled(self) -> bool:
        """True if the images have labels of several classes."""
        return has_classes(self.setup.source)

    @property
    def name(self) -> str:
        """The judge's name in metric keys."""
        judge = f"resnet{self.network.depth}"
        return judge if self.labelled else f"rotation_{judge}"

    def hooks(self) -> tuple[Hook, ...]:
        """Return the hooks that compare as many samples as there are validation images with those, draw some, and warn
        of mode collapse; "baseline" is the distance of blurred noise. Figures by the judge are left out where it is not
        trusted, and the reason takes their place.
        """
        of_classes = self.setup.conditional
        return comparisons(self.setup, self.name, scored=self.labelled, of_classes=of_classes, trusted=self._trusted)

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages that come before the GAN's: the judge's own."""
        return (self.stage(),)

    @property
    def start(self) -> WarmStart:
        """The `warm_start` of the GAN's stage, which puts the judge into its state."""
        return with_judge

    def stage(self) -> Stage:
        """Return the stage "judge", which trains the judge and measures its accuracy on held-out images."""
        source, inputs, config = self.setup.source, self.setup.inputs, self.setup.config
        size, rows = config.network.size, config.batch_size
        optimizer = Optimizer(lr=0.1, weight_decay=1e-4, schedule="cosine")
        pixels: dict[str, Any] = {"mean": source.mean, "std": source.std}
        metrics: tuple[Metric, ...]
        if self.labelled:
            task = classification(self._network, optimizer.make(self.steps), **pixels)
            metrics = (accuracy((1,)), most_frequent(source.num_classes))
        else:
            model = in_precision(PieceClassifier(self._network, TURNS), inputs.precision)
            task = pretext(model, optimizer.make(self.steps), rotation(**pixels), **pixels)
            metrics = (means("pretext_accuracy"),)
        task = log_rate(task, optimizer, self.steps)
        train = inputs.train(source["train"], crops.crop_pad(size, size // 8), rows)
        val = inputs.evaluate(source["val"], self.setup.crop if self.labelled else with_seed(self.setup.crop), rows)
        return Stage("judge", task, train, self.steps, (evaluate(metrics, val, name="judge"),))

    def extractor(self) -> Extractor:
        """Return the judge as an extractor of features; `with_judge` fills in its trained variables."""
        return classifier(self._network, self.setup.source.mean, self.setup.source.std)

    @cached_property
    def _network(self) -> nn.Module:
        if self.network.kind != "resnet":
            raise ValueError(f"--judge.kind={self.network.kind}: a judge is a ResNet; choose resnet")
        classes = self.setup.source.num_classes if self.labelled else None
        return in_precision(self.network.make().clone(num_classes=classes), self.setup.inputs.precision)

    def _trusted(self, hook: Hook) -> Hook:
        """Return the hook without its figures where the judge has learned nothing, but with the reason."""

        def run(predict: Predict, state: TrainState) -> Result:
            result = hook.run(predict, state)
            reason = distrust(read_metrics(self.setup.inputs.workdir / "metrics.jsonl"), self.name)
            return {"judge": reason} if reason else result

        return hook._replace(run=run)


def plain(hook: Hook) -> Hook:
    """Return the hook as it is, for a judge that is trusted without a measurement."""
    return hook


def comparisons(
    setup: GanSetup, judge: str, *, scored: bool, of_classes: bool, trusted: Callable[[Hook], Hook]
) -> tuple[Hook, ...]:
    """Return the hooks that compare samples with real images by a judge's features.

    Args:
        setup: of the GAN.
        judge: the judge's name in metric keys.
        scored: whether the judge has classes, which the Inception score needs.
        of_classes: whether these are the data's classes, by which a conditional generator is measured.
        trusted: wraps the hooks whose figures depend on the judge.

    Returns:
        Hooks of figures, of the baseline, of pictures of samples and interpolations, and of mode collapse.
    """
    config, val = setup.config, setup.val()
    name = f"{judge}_{config.play.sample_norm}"
    metrics = [frechet(name), kid(name), precision_recall(name)]
    metrics += [inception_score(name)] if scored else []
    metrics += [class_accuracy()] if of_classes else []
    draw = partial(_draw_classes, class_names=setup.source.class_names) if setup.conditional else draw_samples
    return (
        trusted(evaluate(tuple(metrics), val, every=config.eval_every)),
        trusted(of_blurred_noise(evaluate((frechet(name),), val, name="baseline"))),
        picture("samples", val, draw, every=config.eval_every),
        Hook("interpolations", 0, partial(_interpolate, val, config.network.prior)),
        collapse.alarm(config.play.objective, every=config.eval_every),
    )


def distrust(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return why figures by a judge's features would mean nothing, "" if its held-out accuracy is well above chance.

    Args:
        rows: the run's metrics so far, with the judge's "judge/accuracy" beside "judge/most_frequent", the accuracy of
            a constant guess; or with "judge/pretext_accuracy" of telling turns.
        name: the judge's name, for the text.

    Returns:
        The reason.
    """
    measured = [row for row in rows if {"judge/accuracy", "judge/pretext_accuracy"} & row.keys()]
    if not measured:
        return f"No figures by the features of {name}: how well it learned was not measured."
    last = measured[-1]
    turns = "judge/pretext_accuracy" in last
    right = last["judge/pretext_accuracy" if turns else "judge/accuracy"]
    chance = 1 / TURNS if turns else last.get("judge/most_frequent", 0.0)
    if right - chance >= LEAST_SKILL * (1.0 - chance) > 0.0:
        return ""
    return (
        f"No figures by the features of {name}: it is right on {right:.3f} of the held-out images, of which chance is "
        f"{chance:.3f}. Train it for longer with --judge_steps."
    )


def with_judge(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Put the variables of the finished stage "judge" into a GAN's state: a stage's `warm_start`."""
    judge = done["judge"]
    if "encoder" in judge.params:  # which learned to tell turns
        return judged_by(state, encoder_variables(judge))
    return judged_by(state, {"params": judge.params, **judge.model_state})


def _draw_classes(outputs: PyTree, batch: Batch, *, class_names: Sequence[str]) -> np.ndarray:
    return viz.by_class(outputs["samples"], batch["label"], class_names)


def _interpolate(val: Data, prior: Prior, predict: Predict, state: TrainState) -> Result:
    """Draw samples from latents on the way from some to others."""
    batch = first_batch(val)
    pairs = max(1, min(4, len(batch["z"]) // INTERPOLATED))
    path = between(batch["z"][:pairs], batch["z"][pairs : 2 * pairs], INTERPOLATED, prior)
    z = np.resize(path.reshape(-1, path.shape[-1]), batch["z"].shape)
    samples = predict(state, {**batch, "z": z})["samples"][: pairs * INTERPOLATED]
    return {"interpolations": viz.interpolations(samples.reshape(pairs, INTERPOLATED, *samples.shape[1:]))}
