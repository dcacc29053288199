"""Train, evaluate or use one experiment.

python launch.py --list
python launch.py --version
python launch.py --experiment=classification/resnet
python launch.py --experiment=classification/resnet --preset=paper --data=folder:/data/imagenet --workdir=runs/r50
python launch.py --workdir=runs/r50 --mode=predict --input='photos/*.jpg'
python launch.py --init_from=torchvision:resnet50.pth --mode=predict --input='photos/*.jpg'
python launch.py --workdir=runs/r50 --mode=export --format=safetensors
python launch.py --mode=gallery
python launch.py --experiment=ssl/simclr --preset=paper --mode=plan --devices=8 --memory=80
"""

import sys
import traceback
from pathlib import Path

from absl import flags

from jaxvision.foreign import shortened
from jaxvision.run import xla
from jaxvision.run.commandline import command, deterministic, parse, request, usage, versions
from jaxvision.run.experiments import ROOT, experiments, listing, load
from jaxvision.train import progress

_LINE = 2000  # characters of an error, which may quote what a file holds

__all__ = ["command", "experiments", "load", "main", "parse"]


def main(argv: list[str]) -> int:
    """Do what the command line asks; return 0, or 2 after one line about a mistake in flags, files or data.

    A training that a signal stopped has saved its state, and also returns 0; other modes return 128 and the signal.
    """
    try:
        if argv[-1] in ("--version", "-V"):  # without a value: some experiments have a setting of this name
            print(versions())
            return 0
        with progress.shown(), progress.busy("importing the experiment"):
            values, name, config = parse(argv)
        if values.list:
            print(listing())
        elif values.help or not argv[1:]:
            print(usage(__doc__ or "", values, name))
        elif values.mode == "gallery":
            from jaxvision.run import gallery  # without jax, so that it takes a moment

            print(f"written to {gallery.write(Path(values.workdir or 'runs'), print)}")
        elif values.mode == "plan":
            from jaxvision.run import plan  # with jax

            asked = request(values, name, config)
            of = asked.flags
            print(plan.text(asked, load(name)) if name else plan.table(of.preset, of.devices, of.memory))
        else:
            with progress.shown(), progress.busy("importing jax"):
                from jaxvision.run import session

            session.run(request(values, name, config), load(name))
    except (Exception, KeyboardInterrupt) as error:
        return _exit_code(error)
    return 0


def _exit_code(error: BaseException) -> int:
    """Print one line for a signal, and for a mistake that our own code names; raise everything else, which is a bug."""
    text = shortened(str(error), _LINE)
    if isinstance(error, KeyboardInterrupt):  # or `signals.Interrupted`, which says what is saved
        print(text or "interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return getattr(error, "code", 130)
    frames = traceback.extract_tb(error.__traceback__)
    ours = Path(frames[-1].filename).is_relative_to(ROOT) and ".venv" not in frames[-1].filename
    if isinstance(error, flags.Error | OSError) or (isinstance(error, ValueError) and ours):
        print(f"error: {text}", file=sys.stderr)
        return 2
    raise error


if __name__ == "__main__":
    xla.reexec_with_huge_pages()
    xla.configure(deterministic(sys.argv))
    sys.exit(main(sys.argv))
