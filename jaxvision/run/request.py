"""The user's request to the launcher: one frozen record, built from the command line."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Mode = Literal["train", "show", "plan", "evaluate", "predict", "sample", "embed", "export", "gallery"]
FOR_TRAINING: tuple[Mode, ...] = ("train", "show", "plan")
"""The modes that open the training data, with the settings of the command line alone."""

Format = Literal["stablehlo", "safetensors", "onnx", "jaxvision"]
Precision = Literal["float32", "bfloat16", "tensorfloat32"]


@dataclasses.dataclass(frozen=True)
class Flags:
    """The flags that every experiment has: one for each field, with the field's comment as its --help.

    Raises ValueError, with the flag's name, where a number is too small.
    """

    help: bool = False  # show these flags and, with --experiment, that experiment's own
    list: bool = False  # show the name of every experiment and one line about it
    experiment: str = ""  # <area>/<name>, see --list; by default the experiment that was run in --workdir
    mode: Mode = "train"  # what to do; show: draw the data; plan: memory of a step; gallery: a page of all runs
    preset: str = "quick"  # set of defaults: quick takes minutes on a laptop, paper has the paper's data and schedule
    epochs: float = 0.0  # length of the training in passes over its images, in place of --steps; 0: as --steps says
    stop_after: int = 0  # evaluations without a better value of the metric of the best checkpoint, then stop; 0: never
    smoke: bool = False  # try everything in seconds: two training steps on tiny data, in a temporary folder
    workdir: str = ""  # folder for checkpoints, metrics and pictures; by default runs/<area>-<name>
    only: tuple[
        str, ...
    ] = ()  # variants of a comparison to train now, beside others on other machines in one --workdir
    from_stage: str = ""  # name of a stage: repeat it and all later stages of the run in --workdir
    init_from: str = ""  # initial weights: jaxvision:NAME, workdir:RUN, or torchvision:, caffe:, darknet: or hed:FILE
    head: Literal["keep", "new"] = "keep"  # classifier of the --init_from weights: keep it, or train a new one
    format: Format = "stablehlo"  # of --mode=export: a program for jax or onnxruntime, weights for torch or for us
    input: str = ""  # --mode=predict and embed: images, as a file, a folder, a video or a pattern like 'photos/*.jpg'
    min_score: float | None = None  # --mode=predict: least score of what is drawn; by default as in training's pictures
    max_shown: int = 100  # --mode=predict: most detections or classes drawn of an image; the files of figures have all
    samples: int = 64  # --mode=sample: images that a GAN draws
    label: str = ""  # --mode=sample: class to draw, by name or number; by default all in turn
    truncation: float = 1.0  # --mode=sample: factor of the latents; below 1 samples are more alike and mostly better
    interpolate: int = 0  # --mode=sample: images on the way from each of the samples to the next; 0: no such ways
    checkpoint: Literal["latest", "best"] = "latest"  # checkpoint to evaluate, predict, sample, embed or export with
    seed: int = 0  # seed of the initial weights, the order of the data and the augmentation
    workers: int = 0  # processes that read and augment images; 0 uses threads instead
    precision: Precision = "float32"  # what networks compute in; tensorfloat32: float32, faster products on GPUs
    strict: bool = False  # stop at an image or annotation that cannot be read, instead of skipping it
    parallel: Literal["auto", "jit", "pmap", "shard_map"] = "auto"  # how several devices share a batch; auto: pmap
    deterministic: bool = False  # on GPUs: only operations that give the same bits again, which takes longer
    log_every: int = 20  # training steps between lines in metrics.jsonl
    save_every: int = 500  # training steps between checkpoints
    keep: int = 2  # number of latest checkpoints to keep, beside the best one
    devices: int = 8  # --mode=plan: devices that share a batch
    memory: float = 80.0  # --mode=plan: memory of each of them, in GB (10⁹ bytes)
    coordinator: str = ""  # HOST:PORT of process 0, where several processes train together
    num_processes: int = 1  # number of processes that train together
    process_id: int = 0  # number of this process among them, from 0
    distributed: bool = False  # join the processes that a TPU pod, Slurm, Open MPI or Kubernetes has started

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"--{name}={getattr(self, name)}: should be {least} or more")


_LEAST = {
    **dict.fromkeys(("epochs", "stop_after", "truncation", "interpolate", "workers", "process_id"), 0),
    **dict.fromkeys(("max_shown", "samples", "log_every", "save_every", "keep"), 1),
    **dict.fromkeys(("devices", "memory", "num_processes"), 1),
}


class Request(NamedTuple):
    """One experiment to be run, and how."""

    experiment: str  # <area>/<name>
    config: Any  # the experiment's Config, a frozen dataclass
    flags: Flags  # with a workdir
    command: str  # the command line that asks for the same again
    evaluated: Mapping[str, Any] = {}  # --mode=evaluate: the data, and how many images of it
