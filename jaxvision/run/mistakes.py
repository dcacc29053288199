"""Mistakes in a command line, told with the flag that was probably meant."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from absl import flags

from jaxvision.run.experiments import experiments
from jaxvision.run.flag_help import known_values

# Names that other programs have for these flags; of several, those that the experiment has are suggested.
_MEANT: dict[str, tuple[str, ...]] = {
    "steps": ("iterations", "iters", "max_steps", "num_steps", "max_iter", "train_steps", "n_steps"),
    "epochs": ("epoch", "num_epochs", "max_epochs", "n_epochs", "num_train_epochs"),
    "batch_size": ("batch", "bs", "batchsize", "b", "train_batch_size", "per_device_train_batch_size"),
    ".lr": ("lr", "learning_rate", "rate", "lr0", "base_lr", "alpha"),
    ".weight_decay": ("wd", "weight_decay", "l2", "decay"),
    ".rule": ("optim", "opt", "optimizer", "optimiser", "solver"),
    ".schedule": ("scheduler", "lr_scheduler", "lr_schedule"),
    ".clip_norm": ("grad_clip", "clip", "clip_grad", "max_grad_norm", "clip_grad_norm", "gradient_clip_val"),
    ".accumulate": ("accumulate", "gradient_accumulation_steps", "accumulate_grad_batches", "accum"),
    ".momentum": ("beta1", "momentum"),
    ".warmup_steps": ("warmup", "warmup_epochs", "warmup_steps"),
    ".freeze": ("freeze", "frozen", "freeze_backbone"),
    "data": ("dataset", "data_dir", "data_path", "datadir", "root", "dataset_dir", "train_data", "data_root"),
    "val_split": ("val", "validation_split", "test_split"),
    "workdir": ("output", "out", "output_dir", "logdir", "log_dir", "save_dir", "outdir", "project", "exp_dir", "o"),
    "input": ("source", "image", "images", "img", "photo", "photos", "files", "image_path"),
    "init_from": ("pretrained", "weights", "load", "load_from", "pretrained_weights", "finetune_from", "model_path"),
    "checkpoint": ("ckpt", "resume_from", "checkpoint_path"),
    "workers": ("num_workers", "j", "n_workers", "threads", "nproc"),
    "experiment": ("model", "arch", "architecture", "net", "network", "exp", "config", "cfg", "task"),
    "image_size": ("img_size", "imgsz", "size", "resolution", "input_size", "img", "crop_size"),
    "view.short": ("img_size", "imgsz", "size", "image_size", "resolution", "min_size"),
    "view.size": ("img_size", "imgsz", "size", "image_size", "resolution", "crop_size"),
    "eval_every": ("eval_freq", "eval_interval", "val_interval", "eval_steps", "val_every", "test_every"),
    "save_every": ("save_freq", "save_interval", "save_steps", "checkpoint_every"),
    "log_every": ("log_interval", "log_freq", "logging_steps", "print_freq", "log_steps"),
    "precision": ("amp", "fp16", "bf16", "half", "mixed_precision", "dtype", "use_amp"),
    "min_score": ("conf", "threshold", "score_threshold", "confidence", "conf_thres", "score"),
    "max_shown": ("max_det", "max_images", "limit"),
    "smoke": ("debug", "dry_run", "fast_dev_run", "test_run", "tiny"),
    "seed": ("random_seed", "rng_seed", "random_state"),
    "mode": ("evaluate", "eval", "predict", "train", "export", "test", "sample", "embed", "show", "gallery", "plan"),
    "preset": ("recipe", "hparams", "quick", "paper"),
    "augment.flip": ("flip", "hflip", "horizontal_flip"),
    "view.flip": ("flip", "hflip", "horizontal_flip"),
    "augment.mixup": ("mixup", "mixup_alpha"),
    "augment.label_smoothing": ("label_smoothing", "smoothing"),
    "keep": ("save_total_limit", "max_to_keep", "keep_checkpoints"),
    "num_processes": ("world_size", "nnodes", "num_nodes"),
    "average_decay": ("ema", "ema_decay", "model_ema", "use_ema"),
}
_ADVICE = {  # what has no flag
    **dict.fromkeys(
        ("gpu", "gpus", "device", "devices", "cuda", "gpu_ids"),
        "jax uses every GPU or TPU that it finds; JAX_PLATFORMS=cpu and CUDA_VISIBLE_DEVICES choose",
    ),
    **dict.fromkeys(
        ("num_classes", "classes", "nc", "n_classes", "class_names"), "the classes are those of --data, none is told"
    ),
    **dict.fromkeys(("resume", "continue"), "the same command, typed again, goes on from the last checkpoint"),
    **dict.fromkeys(("val_data", "val_dir", "test_data"), "--data names all splits; --val_split chooses among them"),
}


def unknown_flag(name: str, value: str, values: flags.FlagValues) -> str:
    """Return one line about a flag that does not exist, with what was probably meant.

    Args:
        name: the flag as it was typed, without dashes.
        value: what followed its =, "" for nothing.
        values: the flags that exist.
    """
    said = f"--{name}: there is no such flag"
    plain = name.strip("-").replace("-", "_").lower()
    if plain in _ADVICE:
        return f"{said}; {_ADVICE[plain]}"
    meant = _meant(plain, list(values))
    if not meant:
        return f"{said}; --help shows those that there are"
    if meant == ["mode"] and plain in known_values(values["mode"]):
        return f"{said}; did you mean --mode={plain}?"
    if meant == ["preset"] and plain in ("quick", "paper"):
        return f"{said}; did you mean --preset={plain}?"
    given = f"={value}" if value and meant != ["mode"] else ""
    return f"{said}; did you mean {' or '.join(f'--{one}{given}' for one in meant)}?"


def stray_word(word: str, values: flags.FlagValues) -> str:
    """Return one line about a word that is not a flag, with the flag that was probably forgotten.

    Args:
        word: the word as it was typed.
        values: the flags that exist.
    """
    said = f"{word}: not a flag"
    name, equals, value = word.partition("=")
    if equals:
        return f"{said}; did you mean --{name}={value}?" if name in values else unknown_flag(name, value, values)
    if word in experiments():
        return f"{said}; did you mean --experiment={word}?"
    if word in known_values(values["mode"]):
        return f"{said}; did you mean --mode={word}?"
    if word in values:
        return f"{said}; did you mean --{word}=…?"
    if word.lower() in ("true", "false", "yes", "no", "on", "off", "1", "0"):
        return f"{said}; a switch is given as --name=true, or as --name and --noname"
    if Path(word).exists():
        return f"{said}; did you mean --input={word}, or --data=folder:{word}?"
    return f"{said}; settings are given as --name=value"


def _meant(name: str, known: Iterable[str]) -> list[str]:
    """Return the flags that a name may stand for: of the same meaning, of the same last part, or spelled alike."""
    known = list(known)
    last = {flag: flag.rpartition(".")[2] for flag in known}
    means = [one for one, others in _MEANT.items() if name in others]
    found = [f for one in means for f in known if f == one or (one[0] == "." and f.endswith(one))]
    found = found or [flag for flag in known if last[flag] == name or flag.replace(".", "_") == name]
    # Those of the network that is trained first, and no more than fit a line.
    found = sorted(dict.fromkeys(found), key=lambda flag: (not flag.startswith("optimizer."), flag.count(".")))
    if found:
        return found[:3]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:
        shorter = difflib.get_close_matches(name, sorted(set(last.values())), n=1, cutoff=0.7)
        near = [flag for flag in known if shorter and last[flag] == shorter[0]][:2]
    return near
