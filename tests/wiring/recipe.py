"""The recipe of every preset, read from the tables of this folder and said in a researcher's words.

`recipes("classification/alexnet")["paper"]` has a text for each of `ROWS`. The tables are compared with what is built
by `tests/wiring_test.py`, so these texts say what is built too.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from jaxvision.train.optim import Optimizer
from tests.wiring.recipe_words import augmentation, commas, preprocessing, searched, tested

FOLDER = Path(__file__).parent
OWN = ("quick",)  # presets of this project, which name no paper
ROWS = (
    "optimizer",
    "learning rate",
    "schedule",
    "weight decay",
    "batch",
    "length",
    "preprocessing",
    "augmentation",
    "test",
)
JUDGE = "judge"  # the stage that trains the network by whose features samples are compared, which is no paper's
IMAGES = {  # in the training splits of the papers' sets
    ("tfds:imagenet2012", "train"): 1_281_167,
    ("tfds:cifar10", "train"): 50_000,
    ("tfds:celeb_a", "train"): 162_770,
    ("voc:VOCdevkit/VOC2007", "trainval"): 5011,
    ("voc:VOCdevkit/VOC2007+voc:VOCdevkit/VOC2012", "trainval"): 16_551,
    ("coco:coco", "train"): 118_287,
    ("masks:camvid,ignore=11", "train"): 367,
    ("voc:VOCdevkit/VOC2012", "train"): 1464,
    ("sbd:benchmark_RELEASE,voc=VOCdevkit/VOC2011", "train"): 8498,
}
# Parameters as the papers call them, by the patterns of `Optimizer.freeze`, `lr_scale` and `decay_scale`.
LAYERS = {
    "bias$": "biases",
    "backbone/conv[12]_": "conv1 and conv2",
    "fc8/": "fc8",
    "^aux_head/": "the side classifier",
    "local/bias$": "the biases of the layer `local`",
    "^(?!bn)[^/]+/bias$": "biases of convolutions",
}
PLAYERS = {"tx": "network", "judge_tx": "discriminator"}  # else the name before "_tx"


class Stage(NamedTuple):
    """A stage of a preset, as its table has it."""

    name: str
    steps: int
    reads: Mapping[str, str]  # data and hooks by name: records, transforms and batch
    settings: Mapping[str, str]  # of its task


class Updates(NamedTuple):
    """An optimizer, as a table has it."""

    player: str  # the network that learns with it
    rule: str
    momentum: float
    lr: float
    schedule: str
    steps: int
    decay: str
    others: Mapping[str, str]  # fields that are not usual


def recipes(name: str) -> dict[str, dict[str, str]]:
    """Return for each preset of an experiment that names a paper the text of each row.

    Where nothing is learned, as in Selective Search, there is the row "test" alone.
    """
    presets = parsed((FOLDER / f"{name}.txt").read_text())
    return {title: _recipe(*preset) for title, preset in presets.items() if title.split()[0] not in OWN}


def parsed(table: str) -> dict[str, tuple[str, list[Stage]]]:
    """Return for each preset of a table its data, and the stages in their order."""
    presets = {}
    for part in re.split(r"^\[", table, flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("]\n")
        data = re.search(r"^data: (.*)$", text, re.MULTILINE)
        assert data, f"[{title}] names no data"
        stages = _stages(text)
        if shown := re.search(r"^predict: (.*)$", text, re.MULTILINE):
            stages[-1] = stages[-1]._replace(reads={**stages[-1].reads, "predict": shown[1]})
        if average := re.search(r"^average of the weights: decay (.*)$", text, re.MULTILINE):
            stages = [stage._replace(settings={**stage.settings, "average_decay": average[1]}) for stage in stages]
        presets[title] = data[1], stages
    return presets


def _stages(text: str) -> list[Stage]:
    found: dict[str, Stage] = {}
    for name, steps, body in re.findall(r"^stage (\S+): (\d+) steps\n((?:  .*\n?)*)", text, re.MULTILINE):
        same = re.search(r"^  otherwise as (\S+)$", body, re.MULTILINE)
        reads = dict(re.findall(r"^  ([^\s].*?): (.*)$", body, re.MULTILINE))
        settings = dict(re.findall(r"^    (\S+): (.*)$", body, re.MULTILINE))
        tasks = re.findall(r"^  task: (.*)$", body, re.MULTILINE)
        hooks = {hook: text for names, text in reads.items() for hook in names.split(", ")}
        own = Stage(name, int(steps), hooks, {"task": ", ".join(tasks), **settings})
        found[name] = found[same[1]]._replace(name=name, steps=int(steps)) if same else own
    return list(found.values())


def updates(stage: Stage) -> list[Updates]:
    """Return the optimizers of a stage, several where several networks learn."""
    found = []
    for key, text in stage.settings.items():
        made = re.fullmatch(r"(\w+) (\S+), lr (\S+) (\w+) over (\d+) steps", text)
        if made:
            prefix = f"{key}."
            others = {k.removeprefix(prefix): v for k, v in stage.settings.items() if k.startswith(prefix)}
            player = PLAYERS.get(key, key.removesuffix("_tx"))
            rule, momentum, lr, schedule, steps = made.groups()
            decay = others.pop("decay")
            found.append(Updates(player, rule, float(momentum), float(lr), schedule, int(steps), decay, others))
    return found


def joined(said: Iterable[tuple[str, str]]) -> str:
    """Join texts of several stages or players: one where all say the same, else each with the names of its owners."""
    owners: dict[str, list[str]] = {}
    for owner, text in said:
        owners.setdefault(text, []).append(owner)
    if len(owners) == 1:
        return next(iter(owners))
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in owners.items())


def _recipe(data: str, stages: list[Stage]) -> dict[str, str]:
    trained = [stage for stage in stages if stage.steps and stage.name != JUDGE]
    if not trained:
        return {"test": searched(stages[-1].reads["predict"])}

    def each(say: Callable[[Updates], str]) -> str:
        return joined((_owner(stage, one), say(one)) for stage in trained for one in updates(stage))

    def whole(say: Callable[[Stage], str]) -> str:
        return joined((stage.name, say(stage)) for stage in trained)

    last = stages[-1]
    return {
        "optimizer": each(_rule),
        "learning rate": each(_rates),
        "schedule": each(_schedule),
        "weight decay": each(_decay),
        "batch": whole(_batch),
        "length": whole(lambda stage: _length(stage, data)),
        "preprocessing": whole(lambda stage: preprocessing(stage.settings)),
        "augmentation": whole(lambda stage: augmentation(stage.reads["data"], stage.settings)),
        "test": tested(last.reads, {**trained[-1].settings, **last.settings}),
    }


def _owner(stage: Stage, o: Updates) -> str:
    return (
        stage.name if len(updates(stage)) == 1 else o.player if stage.name == "train" else f"{stage.name}, {o.player}"
    )


def _rule(o: Updates) -> str:
    words = {
        "momentum": f"SGD, momentum {o.momentum:g}" if o.momentum else "SGD without momentum",
        "adam": f"Adam, β {o.momentum:g} and {o.others.get('beta2', '0.999')}",
        "lars": f"LARS, momentum {o.momentum:g}, trust {o.others.get('trust', '0.001')}",
    }[o.rule]
    nesterov = ", Nesterov's" if o.others.get("nesterov") == "True" else ""
    velocity = ", rate in the velocity" if o.others.get("rate_in_velocity") == "True" else ""
    clipped = f"; the gradient's norm at most {o.others['clip_norm']}" if "clip_norm" in o.others else ""
    return f"{words}{nesterov}{velocity}{clipped}"


def _rates(o: Updates) -> str:
    factors = [f"{_layers(entry.rpartition('=')[0])} × {entry.rpartition('=')[2]}" for entry in _list(o, "lr_scale")]
    fixed = [f"{_layers(pattern)} fixed" for pattern in _list(o, "freeze")]
    return "; ".join([f"{o.lr:g}", *factors, *fixed])


def _decay(o: Updates) -> str:
    coefficient, _, scope = o.decay.partition(", ")
    if float(coefficient) == 0:
        return "none"
    kernels = "of kernels only" if scope == "no norms and biases" else "of all parameters"
    factors = []
    for entry in _list(o, "decay_scale"):
        pattern, _, factor = entry.rpartition("=")
        factors.append(f"none of {_layers(pattern)}" if float(factor) == 0 else f"{_layers(pattern)} × {factor}")
    decoupled = ["decoupled"] if o.others.get("decoupled") == "True" else []
    return "; ".join([f"{coefficient} {kernels}", *factors, *decoupled])


def _schedule(o: Updates) -> str:
    accumulate = int(o.others.get("accumulate", "1"))
    count, usual = o.steps // accumulate, Optimizer()
    if o.schedule == "step":
        given = _list(o, "milestones")
        cuts = [round(float(m) * count) for m in given] if given else [round(m * count) for m in usual.milestones]
        words = f"× {o.others.get('factor', f'{usual.factor:g}')} at {commas(f'{cut:,}' for cut in cuts)}"
    elif o.schedule == "exponential":
        words = f"× {o.others['factor']} every {int(o.others['every']) // accumulate:,}"
    elif o.schedule == "plateau":
        words = f"× {o.others.get('factor', f'{usual.factor:g}')} when the training loss stalls"
    else:
        power = o.others.get("power", f"{usual.power:g}")
        words = {"constant": "constant", "cosine": "cosine to 0", "polynomial": f"polynomial to 0, power {power}"}[
            o.schedule
        ]
    if "warmup_steps" not in o.others:
        return words
    start, long = o.others.get("warmup_from", "0"), f"{int(o.others['warmup_steps']):,}"
    flat = o.others.get("warmup_flat") == "True"
    return f"{f'{start} of it for' if flat else f'linear rise from {start} of it over'} {long}, then {words}"


def _batch(stage: Stage) -> str:
    order, _, rows = stage.reads["data"].rpartition(" | ")[2].rpartition(", by ")
    rows += f", {chosen[1]} of them on objects" if (chosen := re.search(r"(\d+) of objects", order)) else ""
    accumulate = {o.others.get("accumulate", "1") for o in updates(stage)}
    return rows if accumulate == {"1"} else f"{rows}, {' or '.join(sorted(accumulate))} accumulated"


def _length(stage: Stage, data: str) -> str:
    accumulate = max(int(o.others.get("accumulate", "1")) for o in updates(stage))
    split = stage.reads["data"].partition(" |")[0].partition(" with proposals")[0]
    images = IMAGES.get((data, split))
    said = [f"{stage.steps // accumulate:,} updates"]
    if images:
        epochs = stage.steps * int(stage.reads["data"].rpartition("by ")[2]) / images
        said.append(f"{epochs:.0f} epochs" if epochs >= 9.95 else f"{epochs:.1f} epochs")
    return "; ".join(said)


def _list(o: Updates, field: str) -> list[str]:
    """Return the entries of a field that is a tuple; [] where it is as usual."""
    return o.others[field][1:-1].split(", ") if field in o.others else []


def _layers(pattern: str) -> str:
    return LAYERS.get(pattern, f"`{pattern}`")
