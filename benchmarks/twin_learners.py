"""The torch side of `twins`: from a batch of ours to a step, and to the outputs that our evaluation reads.

Learning rates come from our schedule, step by step; everything else of a step is torch's.
"""

from typing import Any

import numpy as np
import torch
import twin_networks
from torch import nn
from torch.nn import functional as F
from twin_cases import Task

Batch = dict[str, np.ndarray]


class Learner:
    """Networks with an optimizer each, whose state is saved as a whole."""

    def __init__(self, task: Task, needs: str | None) -> None:
        """Open the data that `needs` says, for their classes and statistics of pixels, and begin torch's draws."""
        from jaxvision.data.pixel_scale import AS_DATA
        from jaxvision.train.optim import learning_rate

        torch.manual_seed(task.seed)
        self.task, self.config = task, task.settings()
        self.source = task.inputs().source(task.data, needs, getattr(self.config, "pixels", AS_DATA))
        self.nets: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.rates: dict[str, np.ndarray] = {}
        self._rate_of = learning_rate

    def add(self, name: str, net: nn.Module, settings: Any) -> None:
        """Train a network with the optimizer of our settings."""
        decayed = [p for p in net.parameters() if settings.decay_norms or p.dim() > 1]
        others = [p for p in net.parameters() if not settings.decay_norms and p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others}]
        if settings.rule == "adam":
            betas = (settings.momentum, settings.beta2)
            self.optimizers[name] = torch.optim.Adam(groups, lr=settings.lr, betas=betas)
        else:
            self.optimizers[name] = torch.optim.SGD(
                groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov
            )
        schedule = self._rate_of(settings, self.task.steps)
        self.nets[name], self.rates[name] = net, np.broadcast_to(schedule(np.arange(self.task.steps)), self.task.steps)

    def descend(self, name: str, loss: torch.Tensor, step: int, clip_norm: float = 0.0) -> None:
        """Update one network against the gradient of a loss."""
        optimizer = self.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = float(self.rates[name][step])
        optimizer.zero_grad()
        loss.backward()
        if clip_norm:
            nn.utils.clip_grad_norm_(self.nets[name].parameters(), clip_norm)
        optimizer.step()

    def step(self, batch: Batch, step: int) -> None:
        """Learn from a batch."""
        raise NotImplementedError

    def predict(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return the outputs of our task's `predict` that its metrics read."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return everything that is needed to go on."""
        return {
            "nets": {name: net.state_dict() for name, net in self.nets.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "draws": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for name, net in self.nets.items():
            net.load_state_dict(state["nets"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        torch.set_rng_state(state["draws"])

    def pixels(self, batch: Batch) -> torch.Tensor:
        """Return images normalised as ours are, [B, C, H, W]."""
        mean, std = (np.array(values, np.float32) for values in (self.source.mean, self.source.std))
        return _nchw((batch["image"].astype(np.float32) - mean) / std)


class Classifier(Learner):
    """ResNet-20."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, "labels")
        self.add("net", twin_networks.resnet20(self.source.num_classes), self.config.optimizer)

    def step(self, batch: Batch, step: int) -> None:
        logits = self.nets["net"].train()(self.pixels(batch))
        self.descend("net", F.cross_entropy(logits, torch.from_numpy(batch["label"]).long()), step)

    @torch.inference_mode()
    def predict(self, batch: Batch) -> dict[str, np.ndarray]:
        return {"probabilities": self.nets["net"].eval()(self.pixels(batch)).softmax(-1).numpy()}


class Segmenter(Learner):
    """FCN-8s."""

    def __init__(self, task: Task) -> None:
        from jaxvision.data.pixel_weights import median_frequency

        super().__init__(task, "label_maps")
        config, classes = self.config, self.source.num_classes
        net = twin_networks.FCN8s(classes, config.width, config.window, config.hidden)
        self.add("net", net, config.optimizer)
        self.weights = torch.from_numpy(np.float32(median_frequency(self.source[config.train_split], classes)))

    def step(self, batch: Batch, step: int) -> None:
        logits = self.nets["net"].train()(self.pixels(batch))
        labels = torch.from_numpy(batch["label_map"].astype(np.int64))
        entropy = F.cross_entropy(logits, labels, self.weights, ignore_index=255, reduction="none")
        self.descend("net", entropy.sum() / (labels != 255).sum().clamp(min=1), step)

    @torch.inference_mode()
    def predict(self, batch: Batch) -> dict[str, np.ndarray]:
        best = self.nets["net"].eval()(self.pixels(batch)).softmax(1).max(1)
        return {"classes": best.indices.numpy().astype(np.uint8), "confidence": best.values.numpy()}


class Detector(Learner):
    """torchvision's Faster R-CNN, without its resizing of images, which are on their canvas."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, "boxes")
        self.add("net", twin_networks.faster_rcnn(self.source.num_classes, self.config), self.config.optimizer)

    def step(self, batch: Batch, step: int) -> None:
        model, targets = self.nets["net"].train(), []
        for row in range(len(batch["image"])):
            real = batch["valid"][row] & ~batch["ignore"][row]
            boxes, labels = (torch.from_numpy(batch[name][row][real]) for name in ("boxes", "labels"))
            targets.append({"boxes": boxes.reshape(-1, 4), "labels": labels.long()})
        images, sizes = self._listed(batch)
        maps = model.backbone(images.tensors)
        proposals, first = model.rpn(images, maps, targets)
        _, second = model.roi_heads(maps, proposals, sizes, targets)
        self.descend("net", sum({**first, **second}.values()), step, self.config.optimizer.clip_norm)

    @torch.inference_mode()
    def predict(self, batch: Batch) -> dict[str, np.ndarray]:
        model = self.nets["net"].eval()
        images, sizes = self._listed(batch)
        maps = model.backbone(images.tensors)
        proposals, _ = model.rpn(images, maps)
        found, _ = model.roi_heads(maps, proposals, sizes)
        boxes, valid = _padded([one["boxes"] for one in found], self.config.detecting.detections)
        outputs = {"boxes": boxes, "valid": valid}
        for name in ("scores", "labels"):
            outputs[name] = _padded([one[name] for one in found], self.config.detecting.detections)[0]
        given, there = _padded(proposals, self.config.proposing.test_after_nms)
        best_first = np.linspace(1, 0, given.shape[1], endpoint=False)
        return {**outputs, "proposals": given, "proposal_valid": there, "proposal_scores": there * best_first}

    def _listed(self, batch: Batch) -> tuple[Any, list[tuple[int, int]]]:
        from torchvision.models.detection.image_list import ImageList

        sizes = [(int(height), int(width)) for height, width in batch["size"]]
        return ImageList(self.pixels(batch), sizes), sizes


class Gan(Learner):
    """DCGAN, with our moving average of the generator, judged by the same extractor."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, None)
        network, play = self.config.network, self.config.play
        generator, discriminator = twin_networks.players(network.size, network.width, network.latent_dim)
        self.add("generator", generator, self.config.generator)
        self.add("discriminator", discriminator, self.config.discriminator)
        self.nets["average"] = twin_networks.players(network.size, network.width, network.latent_dim)[0]
        self.nets["average"].load_state_dict(generator.state_dict())
        self.smooth, self.decay = play.smooth, play.average_decay
        self.judge = _judge(task, self.config, self.source)

    def step(self, batch: Batch, step: int) -> None:
        generator, discriminator = (self.nets[name].train() for name in ("generator", "discriminator"))
        real = _nchw(batch["image"].astype(np.float32) / 127.5 - 1)
        with torch.no_grad():
            fake = generator(self._noise(len(real)))
        logits = discriminator(real)
        loss = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, 1 - self.smooth))
        self.descend("discriminator", loss + F.softplus(discriminator(fake)).mean(), step)
        self.descend("generator", F.softplus(-discriminator(generator(self._noise(len(real))))).mean(), step)
        kept = min(self.decay, (1 + step) / (10 + step))
        for old, new in zip(self.nets["average"].state_dict().values(), generator.state_dict().values(), strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - kept)

    @torch.inference_mode()
    def predict(self, batch: Batch) -> dict[str, np.ndarray]:
        z = torch.from_numpy(batch["z"])[..., None, None]
        images = self.nets["average"].eval()(z).permute(0, 2, 3, 1).numpy()
        samples = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)
        return {"samples": samples, **self.judge(samples, batch)}

    def _noise(self, rows: int) -> torch.Tensor:
        return torch.rand(rows, self.config.network.latent_dim, 1, 1) * 2 - 1


def _judge(task: Task, config: Any, source: Any) -> Any:
    """Return the judge that ours has, as a function of samples and batch."""
    import jax
    import twin_ours

    from jaxvision.recipes.gan import GanSetup
    from jaxvision.recipes.gan_judge import GanJudge
    from jaxvision.tasks.extractor import judge

    extract = GanJudge(GanSetup(source, config, task.inputs()), config.judge_steps, config.judge).extractor()
    state = twin_ours.judge_state(task)
    variables = {"params": state.params, **state.model_state}
    run = jax.jit(lambda samples, images: judge(extract, variables, samples, {"image": images}))
    return lambda samples, batch: jax.device_get(run(samples, batch["image"]))


def _nchw(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _padded(rows: list[torch.Tensor], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Stack rows of an image each, filled up with zeros to `count`; return which are real too."""
    filled = np.zeros((len(rows), count, *rows[0].shape[1:]), np.float32 if rows[0].is_floating_point() else np.int32)
    for place, row in zip(filled, rows, strict=True):
        place[: len(row)] = row.numpy()
    return filled, np.arange(count)[None] < np.array([[len(row)] for row in rows])
