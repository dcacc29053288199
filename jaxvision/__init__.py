"""Classic computer vision in JAX, as pure functions and small Flax modules.

- `jaxvision.ops`: boxes, RoIs, non-maximum suppression, pooling and unpooling, colour: functions of arrays.
- `jaxvision.losses`: the losses of the papers.
- `jaxvision.models`: the networks, which return every intermediate map by its name.
- `jaxvision.evals`: average precision as COCO's and VOC's, mean IoU, Fréchet distance, and other metrics.
- `jaxvision.tasks`: a network, a loss and an optimiser as three pure functions, `init`, `step` and `predict`.
- `jaxvision.train`: the one loop that trains a task: devices, checkpoints, metrics, optimisers.
- `jaxvision.data`: readers of images and annotations, transforms and batches; free of jax.
- `jaxvision.weights`: other people's weights, and how their networks saw images.
- `jaxvision.fits`: the solvers of R-CNN's stages that are not gradient descent.
- `jaxvision.viz`: arrays to pictures.
- `jaxvision.recipes`, `jaxvision.run`: what experiments share, and what `launch.py` does with them.

`ops`, `losses`, `models` and `evals` list their public names in `__all__`: `from jaxvision.ops import roi_align` works.
"""

__version__ = "0.1.0"
