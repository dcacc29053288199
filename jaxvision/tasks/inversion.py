"""GAN inversion: latents, maps and weights by which a trained generator draws a given image.

Zhu et al. 2016; Bau et al. 2019, "Seeing what a GAN cannot generate" and "Semantic photo manipulation". Four stages,
each of which starts where the one before ended:
    "encoder"   a network guesses the latent of an image
    "latent"    the latent is searched for, image by image
    "layer"     so is what has to be added to the map of one layer
    "tuned"     the weights behind that layer are adjusted to each image, so that units of the layer can be edited

Generator and critic are frozen, batch norm in running mode. Batches hold "image" uint8 [B, S, S, C], "index" int32 [B],
the image's number among those to be inverted, "z" [B, Z] and "generated" bool [B]: where that is true, the target is
the generator's image of z instead of "image".
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxvision.data.latents import Prior
from jaxvision.ops.interventions import insert
from jaxvision.ops.psnr import psnr
from jaxvision.tasks import one_network
from jaxvision.tasks.gan import latents, to_pixels, to_unit
from jaxvision.train.steps import advance, as_float32, descend, example_keys, init_state
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

Searched = Literal["latent", "layer", "tuned"]
STAGES = ("encoder", *get_args(Searched))
_EDIT = ("alpha", "values", "where")


@dataclasses.dataclass(frozen=True)
class Frozen:
    """The frozen networks, how images are drawn by them, and how images are compared.

    Drawing starts from parts [B, …] by name: "latent" [B, Z]; perhaps "residual" [B, h, w, U], added to the layer's
    map; "weights", added to the late modules' parameters, for each image its own; and an intervention on the layer.
    """

    generator: nn.Module  # (z, *, train, edit) -> "image" in [-1, 1], and maps
    critic: nn.Module  # (image, *, train) -> maps, by all of which images are compared
    latent_dim: int  # Z
    layer: str  # the generator's map that is adjusted, and edited
    late: tuple[str, ...]  # the generator's modules behind it, whose weights are adjusted
    feature_weight: float = 0.1  # of the maps' distance, beside that of the pixels

    def init(self, key: Key, batch: Batch) -> dict[str, PyTree]:
        """Draw variables of both networks, to be replaced by trained ones. ValueError: no such late module."""
        generator = self.generator.init(key, jnp.zeros((1, self.latent_dim)), train=False)
        if missing := [name for name in self.late if name not in generator["params"]]:
            known = ", ".join(generator["params"])
            raise ValueError(f"late: the generator has no {', '.join(missing)}; choose among {known}")
        return {"generator": generator, "critic": self.critic.init(key, to_unit(batch["image"]), train=False)}

    def draw(self, variables: PyTree, parts: PyTree) -> Float[Array, "B S S C"]:
        """Draw the images of parts."""
        generator = variables["generator"]

        def draw_one(part: PyTree) -> Float[Array, "S S C"]:
            changes = part.get("weights", {})
            moved = {name: jax.tree.map(jnp.add, generator["params"][name], by) for name, by in changes.items()}

            def at_layer(maps: Float[Array, "1 h w U"]) -> Float[Array, "1 h w U"]:
                maps = maps + part["residual"][None] if "residual" in part else maps
                return insert(*(part[name][None] for name in _EDIT))(maps) if "alpha" in part else maps

            adjusted = {**generator, "params": {**generator["params"], **moved}}
            outputs: Any = self.generator.apply(
                adjusted, part["latent"][None], train=False, edit={self.layer: at_layer}
            )
            return outputs["image"][0]

        return jax.vmap(draw_one)(parts)

    def target(self, variables: PyTree, batch: Batch) -> Float[Array, "B S S C"]:
        """Return the images to be found again: the generator's of "z" where "generated", the batch's elsewhere."""
        drawn = self.draw(variables, {"latent": batch["z"]})
        return jnp.where(batch["generated"][:, None, None, None], drawn, to_unit(batch["image"]))

    def maps(self, variables: PyTree, images: Float[Array, "B S S C"]) -> dict[str, Float[Array, "B ..."]]:
        """Compute everything that images are compared by: themselves, and the critic's maps."""
        outputs: Any = as_float32(self.critic.apply(variables["critic"], images, train=False))
        return {**{name: x for name, x in outputs.items() if x.ndim == 4}, "image": images}

    def total(self, distance: Mapping[str, jax.Array]) -> Float[Array, " B"]:
        """Weigh the distances of pixels and of maps."""
        return distance["pixels"] + self.feature_weight * distance["features"]

    def outputs(
        self, variables: PyTree, stage: str, parts: PyTree, target: Float[Array, "B S S C"]
    ) -> dict[str, jax.Array]:
        """Draw the images of a stage and compare them with the target.

        Args:
            variables: of both networks.
            stage: its name.
            parts: what the images are drawn from.
            target: images in [-1, 1].

        Returns:
            The images as uint8 under the stage's name, and "features_<stage>", the distance of the critic's maps.
        """
        images = self.draw(variables, parts)
        distance = _distance(self.maps(variables, images), self.maps(variables, target))
        return {stage: to_pixels(images), f"features_{stage}": distance["features"]}


def encoding(
    nets: Frozen,
    encoder: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    *,
    prior: Prior = "uniform",
    image_weight: float = 1.0,
) -> Task:
    """Make the task of the first stage: learn an encoder from pairs (G(z), z) with fresh z.

    The loss is ‖E(G(z)) − z‖² / Z and `image_weight` times the distance of G(E(x)) from x, for x = G(z) and for the
    images of the batch, which need neither "index" nor "z" to be learned from.

    Args:
        nets: the frozen networks.
        encoder: (image, *, train) -> {"z"}.
        tx: the optimizer of the encoder.
        prior: distribution of the latents.
        image_weight: factor of the images' distance.

    Returns:
        The task. Metrics are "loss", "loss_latent" and "loss_image"; the outputs are those of `search`.
    """

    def init(key: Key, batch: Batch) -> TrainState:
        keys = jax.random.split(key)
        variables = encoder.init(keys[0], to_unit(batch["image"]), train=True)
        aux = {**nets.init(keys[1], batch), "found": {}}
        return init_state(key, variables, tx.init(variables["params"]), aux)

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        z = latents(example_keys(state, len(batch["image"]), axis_name), nets.latent_dim, prior)
        images = jnp.concatenate([nets.draw(state.aux, {"latent": z}), to_unit(batch["image"])])
        targets = nets.maps(state.aux, images)

        def loss_and_terms(outputs: Any) -> tuple[jax.Array, Metrics]:
            codes = outputs["z"]
            distance = _distance(nets.maps(state.aux, nets.draw(state.aux, {"latent": codes})), targets)
            latent_loss, image_loss = jnp.mean(jnp.square(codes[: len(z)] - z)), jnp.mean(nets.total(distance))
            terms = {"loss_latent": latent_loss, "loss_image": image_loss}
            return latent_loss + image_weight * image_loss, terms

        return one_network.train(encoder, tx, state, images, loss_and_terms, axis_name=axis_name)

    def predict(state: TrainState, batch: Batch) -> dict[str, PyTree]:
        target = nets.target(state.aux, batch)
        parts = {"latent": one_network.evaluate(encoder, state, target)["z"]}
        outputs = nets.outputs(state.aux, "encoder", parts, target)
        return {"target": to_pixels(target), **outputs, "found": parts}

    return Task(init, step, predict)


def search(
    nets: Frozen,
    tx: optax.GradientTransformationExtraArgs,
    stage: Searched,
    *,
    images: int,
    restarts: int = 1,
    l2: float = 0.0,
    prior: Prior = "uniform",
) -> Task:
    """Make the task of a later stage: search, for each image, what the stage adds to the results of those before.

    The loss of an image is its pixels' mean squared difference, in units of [−1, 1], plus `feature_weight` times that
    of the critic's maps, each as a share of the target map's mean square, plus `l2` times how far the image is from the
    generator's own: the mean square of "residual", or that of "weights" as a share of the generator's. An image's loss
    does not depend on the others. A batch should hold every image: the optimizer moves all of them.

    Args:
        nets: the frozen networks.
        tx: the optimizer.
        stage: what is searched for.
        images: how many images are inverted.
        restarts: starts of "latent" for each image: the encoder's, and others drawn from the prior.
        l2: weight of the distance from the generator's own images.
        prior: distribution of the latents.

    Returns:
        The task. `params` are [images, restarts, …]. Metrics are "loss" and "psnr". `predict` returns uint8 images
        "target" and, under the name of each stage so far, its images of the best start; "features_<stage>" [B], the
        distance of their maps; and "found", this stage's parts. An intervention in the batch (see
        `ops.interventions.insert`) edits this stage's images.

    Raises:
        ValueError: restarts of another stage than "latent".
    """
    if restarts != 1 and stage != "latent":
        raise ValueError(f"restarts: {restarts} of stage {stage!r}; only the search of a latent starts more than once")
    task = _Search(nets, tx, stage, images, restarts, l2, prior)
    return Task(task.init, task.step, task.predict)


def following(
    state: TrainState, generator: PyTree, critic: PyTree, found: Mapping[str, PyTree] | None = None
) -> TrainState:
    """Put trained networks and the results of the stages before into a state, as a stage's `warm_start` does.

    Args:
        state: a state of `encoding` or `search`.
        generator: variables of the generator.
        critic: variables of the critic.
        found: by stage the parts that its `predict` returned under "found", [images, …].

    Returns:
        The state; its search starts from the last stage's parts.
    """
    found = dict(found or {})
    params = state.params
    if found:
        last = found[[name for name in STAGES if name in found][-1]]
        started = {name: params[name].at[:, 0].set(last[name]) for name in params.keys() & last.keys()}
        params = {**params, **started}
    aux = {**state.aux, "generator": generator, "critic": critic, "found": found}
    return dataclasses.replace(state, params=params, aux=aux)


@dataclasses.dataclass(frozen=True)
class _Search:
    """The search of one stage as a task."""

    nets: Frozen
    tx: optax.GradientTransformationExtraArgs
    stage: Searched
    images: int
    restarts: int
    l2: float
    prior: Prior

    @property
    def before(self) -> tuple[str, ...]:
        """Names of the stages before this one."""
        return STAGES[: STAGES.index(self.stage)]

    def init(self, key: Key, batch: Batch) -> TrainState:
        variables = self.nets.init(key, batch)
        drawn = latents(jax.random.split(key, self.images * self.restarts), self.nets.latent_dim, self.prior)
        params = self._first_params(variables, drawn)
        found = {name: self._blank(variables, name) for name in self.before}
        return init_state(key, {"params": params}, self.tx.init(params), {**variables, "found": found})

    def step(self, state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        nets, variables = self.nets, state.aux
        targets = _repeated(nets.maps(variables, nets.target(variables, batch)), self.restarts)

        def loss_fn(params: PyTree) -> tuple[jax.Array, Metrics]:
            parts = self._parts(state, params, batch)
            distance = _distance(nets.maps(variables, nets.draw(variables, parts)), targets)
            losses = (nets.total(distance) + self.l2 * _own_distance(variables, parts)).reshape(-1, self.restarts)
            best = psnr(distance["pixels"], peak=2.0).reshape(-1, self.restarts).max(axis=1).mean()
            return self.images * losses.sum(axis=1).mean(), {"loss": losses.min(axis=1).mean(), "psnr": best}

        params, opt_state, _, metrics = descend(loss_fn, state.params, state.opt_state, self.tx, axis_name=axis_name)
        return advance(state, params, opt_state), metrics

    def predict(self, state: TrainState, batch: Batch) -> dict[str, PyTree]:
        target = self.nets.target(state.aux, batch)
        outputs: dict[str, PyTree] = {"target": to_pixels(target)}
        for name in self.before:
            outputs |= self.nets.outputs(state.aux, name, _rows(state.aux["found"][name], batch), target)
        parts = self._best(state, batch, target)
        edit = {name: batch[name] for name in _EDIT if name in batch}
        outputs |= self.nets.outputs(state.aux, self.stage, {**parts, **edit}, target)
        return {**outputs, "found": parts}

    def _first_params(self, variables: PyTree, drawn: Float[Array, "N Z"]) -> PyTree:
        if self.stage == "latent":
            return {"latent": drawn.reshape(self.images, self.restarts, -1)}
        if self.stage == "layer":
            return jax.tree.map(lambda x: x[:, None], self._blank(variables, "layer"))
        late = {name: variables["generator"]["params"][name] for name in self.nets.late}
        return {"weights": jax.tree.map(lambda w: jnp.zeros((self.images, 1, *w.shape), w.dtype), late)}

    def _blank(self, variables: PyTree, stage: str) -> dict[str, jax.Array]:
        """Return parts of a stage for all images, zeros that its results will replace."""
        nets, blank = self.nets, {"latent": jnp.zeros((self.images, self.nets.latent_dim))}
        if stage != "layer":
            return blank
        drawn = jax.eval_shape(lambda z: nets.generator.apply(variables["generator"], z, train=False), blank["latent"])
        if nets.layer not in drawn:
            raise ValueError(f"layer: the generator has no {nets.layer!r}; choose among {', '.join(drawn)}")
        return {**blank, "residual": jnp.zeros(drawn[nets.layer].shape)}

    def _parts(self, state: TrainState, params: PyTree, batch: Batch) -> PyTree:
        """Return the parts [B · restarts, …] of a batch's images: the learned ones, and those of the stage before."""
        learned = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), _rows(params, batch))
        return {**_rows(state.aux["found"][self.before[-1]], batch), **learned}

    def _best(self, state: TrainState, batch: Batch, target: Float[Array, "B S S C"]) -> PyTree:
        """Return the parts [B, …] of the start that came nearest to the target."""
        nets, parts = self.nets, self._parts(state, state.params, batch)
        if self.restarts == 1:
            return parts
        targets = _repeated(nets.maps(state.aux, target), self.restarts)
        total = nets.total(_distance(nets.maps(state.aux, nets.draw(state.aux, parts)), targets))
        best = jnp.arange(len(target)) * self.restarts + total.reshape(-1, self.restarts).argmin(axis=1)
        return jax.tree.map(lambda x: x[best], parts)


def _rows(tree: PyTree, batch: Batch) -> PyTree:
    """Pick the rows of a batch's images."""
    return jax.tree.map(lambda x: x[batch["index"]], tree)


def _repeated(tree: PyTree, count: int) -> PyTree:
    return jax.tree.map(lambda x: jnp.repeat(x, count, axis=0), tree) if count > 1 else tree


def _distance(maps: Mapping[str, jax.Array], targets: Mapping[str, jax.Array]) -> dict[str, Float[Array, " B"]]:
    """Compute mean squared differences: of pixels, and of maps as a share of the target map's mean square."""

    def mean(x: Float[Array, "B h w C"]) -> Float[Array, " B"]:
        return jnp.mean(jnp.square(x.astype(jnp.float32)), axis=(1, 2, 3))

    names = [name for name in targets if name != "image"]
    shares = [mean(maps[n] - targets[n]) / jnp.maximum(mean(targets[n]), 1e-8) for n in names]
    return {"pixels": mean(maps["image"] - targets["image"]), "features": jnp.stack(shares).mean(axis=0)}


def _own_distance(variables: PyTree, parts: PyTree) -> Float[Array, " B"]:
    """Compute how far images are from those that the generator would draw of a latent alone."""
    if "weights" in parts:
        weights = {name: variables["generator"]["params"][name] for name in parts["weights"]}
        change, whole = (jax.tree.map(jnp.square, tree) for tree in (parts["weights"], weights))
        changes = [by.reshape(len(by), -1).sum(axis=1) for by in jax.tree.leaves(change)]
        return jnp.stack(changes).sum(axis=0) / optax.tree.sum(whole)
    if "residual" in parts:
        return jnp.square(parts["residual"]).mean(axis=(1, 2, 3))
    return jnp.zeros(len(parts["latent"]))
