"""Words for the transforms, the preprocessing and the test procedure that the tables of this folder name.

A transform without words of its own is quoted as the table has it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

TASKS_PIXELS = {  # of tasks that are given no mean: what their code does
    "gan": "−1 to 1",
    "context_encoder": "0 to 1, less the mean of each channel, over its standard deviation",
}


class Call(NamedTuple):
    """A function with its arguments, as a table names it."""

    name: str
    named: Mapping[str, str]
    places: tuple[str, ...]

    def numbers(self, name: str) -> list[str]:
        """Return the numbers of an argument that is a tuple or a single one."""
        return re.findall(r"-?[\d.]+(?:e-?\d+)?", self.named[name])


def call(text: str) -> Call:
    """Take the text of a call apart: "crop(size=224)", or a name alone."""
    name, _, rest = text.partition("(")
    arguments = _split(rest.removesuffix(")")) if rest else []
    pairs = [re.fullmatch(r"(\w+)=(.*)", argument) for argument in arguments]
    named = {pair[1]: pair[2] for pair in pairs if pair}
    return Call(name, named, tuple(a for a, pair in zip(arguments, pairs, strict=True) if not pair))


def _split(text: str) -> list[str]:
    """Split at the commas that stand in no brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def commas(words: Iterable[str]) -> str:
    """Join words as in a sentence: "a", "a and b", "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _percent(share: str) -> str:
    return f"{100 * float(share):g} %"


def _size(c: Call, name: str = "size") -> str:
    return " × ".join(c.numbers(name)) + " px"


def _scale_jitter(c: Call) -> str:
    size, low, high = (c.named[name] for name in ("size", "low", "high"))
    return f"random crop of {size} px from a shorter side of {_range(low, high)}"


def _center(c: Call) -> str:
    size, shorter = c.named["size"], c.named["shorter"]
    return f"central square, at {size} px" if size == shorter else f"central {size} px of a shorter side of {shorter}"


def _part(c: Call) -> str:
    low, high = c.numbers("area")
    return f"random part of {100 * float(low):g} to {_percent(high)} of the area, to {c.named['size']} px"


def _flip(c: Call) -> str:
    share = float(c.named["probability"])
    return "" if not share else "mirrored" if share == 0.5 else f"mirrored with probability {share:g}"


def _color_jitter(c: Call) -> str:
    if "amounts" in c.named:  # on the host
        amounts = re.findall(r"(\w+): ([\d.]+)", c.named["amounts"])
        alike = len({amount for _, amount in amounts}) == 1
        names = commas(name for name, _ in amounts)
        return f"{names} by up to {amounts[0][1]}" if alike else ", ".join(f"{n} by up to {a}" for n, a in amounts)
    strengths = ", ".join(c.numbers("strengths"))
    return f"jitter of brightness, contrast, saturation, hue by {strengths}{_probability(c)}"


def _probability(c: Call) -> str:
    share = float(c.named["probability"])
    return "" if share == 1 else f" with probability {share:g}"


def _canvas(c: Call) -> str:
    short, long = c.numbers("canvases")
    shorts = c.numbers("shorts") or [short]
    size = f"{short} × {long} px canvas" if short == long else f"shorter side {commas(shorts)}, longer at most {long}"
    return f"within {short} × {long} px" if short == long else size


def _random_crop(c: Call) -> str:
    low, high = c.numbers("scales")
    of = f" of a shorter side of {c.named['shorter']}" if c.named["shorter"] != "0" else ""
    scaled = "" if low == high == "1" else f"{of or ' of the image'} scaled by {_range(low, high)}"
    inner = f", whose middle {_size(c, 'inner')} lies on the image" if c.named["inner"] != "None" else ""
    return f"random {_size(c)}{scaled}{inner}" + _border(c)


def _border(c: Call) -> str:
    return "; mirrored at the image's border" if c.named["mirror"] == "True" else ""


def _bend(c: Call) -> str:
    turned = [f"turned by up to {c.named['rotate']}°"] if c.named["rotate"] != "0" else []
    return "; ".join([*turned, f"elastic deformation of σ {c.named['sigma']} px"])


def _fit(c: Call) -> str:
    shorter = f", at a shorter side of {c.named['shorter']}" if c.named["shorter"] != "0" else ""
    return f"whole, within {_size(c)}{shorter}" + _border(c)


def _object(c: Call) -> str:
    kind = "proposal near an object" if c.named["proposals"] == "True" else "object"
    return f"random {kind}, enlarged by 1.2, to {c.named['resize']} px; random {c.named['size']} px of it"


def _hsv(c: Call) -> str:
    saturation, exposure = c.numbers("factors")
    hue = float(c.named["turn"])
    return f"saturation and exposure by up to {_range(saturation, exposure)} in HSV" + (
        f", hue by {hue:g}" if hue else ""
    )


def _cut(c: Call) -> str:
    jitter = float(c.named["jitter"])
    return (
        f"each edge moved by up to {_percent(c.named['jitter'])}, to {c.named['size']} px" if jitter else _stretched(c)
    )


def _stretched(c: Call) -> str:
    return f"stretched to {c.named['size']} px"


def _borders(c: Call) -> str:
    balance = "; classes weighted by their balance" if c.named["class_weights"] != "None" else ""
    extra = f"pixels between objects weighted by {c.named['weight']}, σ {c.named['sigma']}"
    return f"{transforms(c.named['transform'])}; {extra}{balance}"


WORDS: dict[str, Callable[[Call], str]] = {
    "scale_jitter": _scale_jitter,
    "crop_pad": lambda c: f"random {c.named['size']} px after padding by {c.named['pad']}",
    "inception_crop": _part,
    "random_resized_crop": _part,
    "two_crops": _part,
    "center_crop": _center,
    "horizontal_flip": _flip,
    "flip": _flip,
    "pca_noise": lambda c: f"noise of σ {c.named['std']} along the principal components of RGB",
    "color_jitter": _color_jitter,
    "grayscale": lambda c: f"grey{_probability(c)}",
    "blur": lambda c: f"blur of σ {_range(*c.numbers('sigma'))}{_probability(c)}",
    "resize": _canvas,
    "random_crop": _random_crop,
    "bend": _bend,
    "crop": _object,
    "evaluate": lambda c: f"the best {c.named['most']} proposals of {c.named['least']} px or more",
    "with_borders": _borders,
    "fit": _fit,
    "whole_image": lambda c: f"whole, at a shorter side of {c.named['shorter']}",
    "cut": _cut,
    "hsv_jitter": _hsv,
    "one": lambda c: f"a window around one object, to {c.named['size']} px",
    "jigsaw": lambda c: (
        f"tiles of {c.named['tile']} px in cells of {c.named['cell']}, channels moved by up to {c.named['shift']} px, "
        f"grey with probability {c.named['grey']}, {c.named['permutations'].split()[1].split('×')[0]} permutations"
    ),
    "relative_patch": lambda c: (
        f"patches of {c.named['patch']} px, gap {c.named['gap']}, jitter ±{c.named['jitter']}, colours: "
        f"{c.named['color']}, a share of {c.named['pixelate']} sampled down to {c.named['least_pixels']} pixels or more"
        + (f"; each patch less its mean, to a root mean square of {c.named['rms']}" if c.named["rms"] != "0" else "")
    ),
    "rotation": lambda c: "each image at 0, 90, 180 and 270°",
    **dict.fromkeys(("place", "shuffle", "add_latent", "add_seed", "unchanged"), lambda c: ""),
}


def transforms(text: str) -> str:
    """Say a chain of transforms, such as "center_crop(size=224, shorter=256) | add_seed"."""
    said = []
    for part in filter(None, text.split(" | ")):
        if part.startswith("chain("):
            inner = next(iter(call(part).named.values()))
            said += [transforms(one) for one in _split(inner[1:-1])]
        else:
            one = call(part)
            said.append(WORDS[one.name](one) if one.name in WORDS else f"`{part}`")
    return "; ".join(word for word in said if word)


def augmentation(reading: str, settings: Mapping[str, str]) -> str:
    """Say how training images are changed, on the host and by the task.

    Args:
        reading: of the training data: records, transforms, order and batch.
        settings: of the task.

    Returns:
        The text; "none" where they are not changed at all.
    """
    chain = [reading.partition(" | ")[2].rpartition(" | ")[0]]
    chain += [settings[name] for name in ("augment", "ask") if name in settings]
    said = [transforms(text) for text in chain]
    for name, words in (("label_smoothing", "label smoothing"), ("mixup_alpha", "mixup of α")):
        if settings.get(name, "0") != "0":
            said.append(f"{words} {settings[name]}")
    return "; ".join(text for text in said if text) or "none"


def preprocessing(settings: Mapping[str, str]) -> str:
    """Say which numbers the network is given for an image's pixels."""
    mean, std = settings.get("mean"), settings.get("std")
    if mean is None:
        task = settings["task"].partition(",")[0]
        return TASKS_PIXELS.get(task, f"as the task `{task}` does")
    if contrast := re.search(r"contrast=(\d+)", settings.get("model", "")):
        return f"local contrast normalisation over {contrast[1]} px"
    center = "less the mean of each channel" if mean == "the data's mean" else f"less {mean[1:-1]}"
    if std == "the data's std":
        return f"{center}, over its standard deviation"
    if std == "(1, 1, 1)":
        return f"0 to 255, {center}"
    if mean == "(0, 0, 0)":
        return {"(255, 255, 255)": "0 to 1"}.get(str(std), f"over {std}")
    return {"(127.5, 127.5, 127.5)": "−1 to 1"}.get(str(std), f"{center}, over {std}")


def tested(reads: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """Say how a network is tested: what it is given, what is averaged, and what is reported.

    Args:
        reads: what the stage's hooks read, by their names.
        settings: of the stage's task.

    Returns:
        The text; "not evaluated" where no hook reads held-out images.
    """
    reading = next((reads[name] for name in ("val", "probe", "knn", "predict") if name in reads), "")
    held_out = reading.split("; ")[-1]  # after the training images of a probe
    records, _, chain = held_out.rpartition(" | ")[0].partition(" | ")
    said = [searched(records), _looked(transforms(chain), settings)]
    if settings.get("average_decay", "0") != "0":
        said.append(f"parameters averaged with decay {settings['average_decay']}")
    if "proposing.test_after_nms" in settings and settings.get("origin") != "batch":
        said.append(f"{settings['proposing.test_after_nms']} proposals")
    said += _reported(settings)
    if "knn" in reads and "probe" not in reads:
        said.append("nearest neighbours of features")
    if "extract" in settings:
        said.append("as many samples as held-out images, by a judge's features")
    return "; ".join(word for word in said if word) or "not evaluated"


def searched(records: str) -> str:
    """Say which proposals are searched for in images beforehand; "" if none are."""
    found = re.search(r"with proposals \((?:\w+, )?(\w+), (at most \d+)\)", records)
    return f"{found[2]} proposals of Selective Search ({found[1]})" if found else ""


def _looked(whole: str, settings: Mapping[str, str]) -> str:
    view = call(settings.get("views", settings.get("look", "whole")))
    if view.name == "ten_crops":
        return f"ten crops of {view.named['size']} px of the {whole}"
    if view.name == "crops_144":
        return f"144 crops of {view.named['size']} px at {commas(view.numbers('sizes'))}"
    if view.name == "proposals":
        return f"{whole}, each at {view.named['size']} px, the largest score of each pixel"
    if view.name == "sliding":
        return f"windows of {_size(view, 'window')} every {view.numbers('stride')[0]} px; {whole}"
    if view.name == "multi_scale":
        sizes = view.named.get("sizes") or view.named["scales"]
        return f"{whole}; at {commas(re.findall(r'[0-9.]+', sizes))}, each also mirrored"
    return whole if view.name in ("whole", "Look") else f"`{settings.get('views', settings.get('look'))}`; {whole}"


def _reported(settings: Mapping[str, str]) -> list[str]:
    for prefix, threshold in (
        ("detecting", "score_threshold"),
        ("reporting", "score_threshold"),
        ("config", "min_score"),
    ):
        if f"{prefix}.nms_iou" in settings and settings.get("stages") != "(proposals)":
            own = {key.removeprefix(f"{prefix}."): value for key, value in settings.items() if key.startswith(prefix)}
            ranks = re.search(r"ranks=\((\d+), (\d+)\)", settings.get("model", ""))
            cut = [f"also with fc6 and fc7 of ranks {ranks[1]} and {ranks[2]}"] if ranks else []
            of_class = own.get("of_class", "0")
            most = (
                f"{of_class} windows of a class" if of_class != "0" else f"{own['detections']} detections of an image"
            )
            of_set = f", {own['of_set']} of an image on the average" if own.get("of_set", "0") != "0" else ""
            return [f"NMS at {own['nms_iou']}, scores from {own[threshold]}, {most} at most{of_set}", *cut]
    return []
