"""Make the pictures of this folder from the workdirs of finished runs: python docs/pictures/make.py WORKDIR …

Each workdir's config.json says which command it is of. Its newest picture is cut, made smaller and put here, and the
row of README.md says the figure of that run, so that a picture and its figure are of the same run. A run that has not
finished, or is of no picture's command, is an error. report.png and gallery.png are screenshots, see README.md.
"""

import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from PIL import Image

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
_COLORS = 256  # of a palette, which makes a picture of digits and boxes three times smaller


class Picture(NamedTuple):
    """A picture of a run."""

    name: str  # of the file here
    says: str  # its text for those who do not see it
    command: str  # of the run, behind `python launch.py --experiment=`
    drawn: str  # name of the picture in the run's images/, without the step
    share: float = 1.0  # of its height that is shown; negative: from below
    width: int = 900  # most pixels


_CAMVID = "--preset=photos --data=masks:camvid,ignore=11 --class_weights=median_frequency"
PICTURES = (
    Picture("classification", "ResNet names digits", "classification/resnet", "predictions"),
    Picture(
        "detection",
        "Mask R-CNN finds digits in scenes",
        "detection/mask_rcnn --steps=2000 --eval_every=1000",
        "detections",
        0.5,
        720,
    ),
    Picture("proposals", "Selective Search's best boxes", "detection/selective_search", "best_boxes_0", width=512),
    Picture("lineage", "Four detectors side by side", "detection/lineage", "lineage_figure", width=1510),
    Picture("segmentation", "U-Net labels pixels", "segmentation/unet", "predictions", -0.5, 828),
    Picture(
        "unpooling",
        "Five ways of unpooling",
        f"segmentation/unpooling {_CAMVID} --steps=400",
        "predictions",
        0.25,
    ),
    Picture("gan", "Digits as asked", "gan/conditional", "samples", width=772),
    Picture("gan_toy", "Points of a GAN", "gan/toy", "samples"),
    Picture(
        "gan_gradients",
        "The generator's gradient by D(G(z))",
        "gan/compare --only=toy,toy_minimax,toy_minimax_alone,toy_non_saturating_alone --seeds=3 --point_steps=1000 "
        "--log_every=5",
        "generator_gradients_figure",
    ),
    Picture(
        "misalignment",
        "Bins of RoIPool, RoIWarp and RoIAlign",
        "detection/pooling",
        "misalignment_figure",
    ),
    Picture("dcgan", "Digits that a DCGAN draws", "gan/dcgan", "samples", width=600),
    Picture("colorization", "Coloured digits", "ssl/colorization", "answers", width=660),
    Picture(
        "ssl",
        "Linear heads on frozen features",
        "ssl/compare --preset=fashion --data=idx:fashion-mnist",
        "comparison_figure",
        width=1160,
    ),
)


def flags_of(command: str) -> dict[str, str]:
    """Return the flags of a command by name, without those that change no result; of data's folders the last name."""
    words = [word.removeprefix("--") for word in shlex.split(command) if word.startswith("--")]
    flags = dict(word.partition("=")[::2] for word in words)
    kept = {k: re.sub(r":.*/", ":", v) for k, v in flags.items() if k not in ("workdir", "workers", "save_every")}
    return {name: value for name, value in kept.items() if (name, value) != ("preset", "quick")}


def picture_of(command: str) -> Picture:
    """Return the picture that a run of this command is for. ValueError: there is none."""
    for picture in PICTURES:
        if flags_of(f"--experiment={picture.command}") == flags_of(command):
            return picture
    known = "; ".join(picture.command for picture in PICTURES)
    raise ValueError(f"{command}: no picture is of this command; there are: {known}")


def make(workdir: Path, folder: Path = FOLDER) -> str:
    """Make the picture of a run in `folder`, and write the run's figure beside it in README.md; return a line."""
    from jaxvision.run import results

    run = results.read(workdir)
    picture = picture_of(run.about.get("command", ""))
    if (state := results.state(run)) != "finished":
        raise ValueError(f"{workdir}: {state or 'nothing was trained'}; let the run finish")
    drawn = sorted((workdir / "images").glob(f"{picture.drawn}-*.png"))
    if not drawn:
        raise ValueError(f"{workdir}: no images/{picture.drawn}-….png")
    save(Image.open(drawn[-1]).convert("RGB"), picture, folder / f"{picture.name}.png")
    figures = results.key_figures(run)
    figure = f"{figures[0].name} {results.number(figures[0].value)}" if figures else "–"
    note(folder / "README.md", picture, drawn[-1].name, figure)
    return f"{picture.name}.png: {drawn[-1].name} of {workdir}, {figure}"


def save(image: Image.Image, picture: Picture, path: Path) -> None:
    """Cut a picture, make it smaller and write it with few colours."""
    height = max(1, round(abs(picture.share) * image.height))
    top = image.height - height if picture.share < 0 else 0
    image = image.crop((0, top, image.width, top + height))
    image.thumbnail((picture.width, image.height))
    image.quantize(_COLORS).save(path, optimize=True)


def note(page: Path, picture: Picture, drawn: str, figure: str) -> None:
    """Write the row of a picture into the table of README.md, in the place of its old one or at the end."""
    lines = page.read_text().splitlines()
    start = f"| ![{picture.says}]({picture.name}.png) |"
    row = f"{start} `python launch.py --experiment={picture.command}` | `{drawn}` | {figure} |"
    places = [number for number, line in enumerate(lines) if f"({picture.name}.png)" in line]
    if places:
        lines[places[0]] = row
    else:
        last = max(number for number, line in enumerate(lines) if line.startswith("| !["))
        lines.insert(last + 1, row)
    page.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for given in sys.argv[1:]:
        print(make(Path(given)))
