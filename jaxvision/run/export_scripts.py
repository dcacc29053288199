"""The files beside an exported program: predict.json describes it, and use.py runs it without jaxvision."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxvision.files import atomic_write

_PREPARE = '''
def prepared(image, how):
    """Resize an image as predict.json says; return uint8 pixels, and its size and scale where it lies on a canvas."""
    width, height = image.size
    if "crop" in how:
        scale, side = how["resize"] / min(width, height), how["crop"]
        image = image.resize((int(width * scale + 1e-6), int(height * scale + 1e-6)), Image.Resampling.BILINEAR)
        x, y = round((image.width - side) / 2), round((image.height - side) / 2)
        return {"image": np.array(image.crop((x, y, x + side, y + side)))}
    if "stretch" in how:
        canvas, new = [how["stretch"]] * 2, [how["stretch"]] * 2
    else:
        canvas = how["canvas"]
        scale = min(canvas[0] / height, canvas[1] / width, 1 if how.get("enlarge") is False else 1e9)
        scale = min(scale, how.get("short", 1e9) / min(width, height), how.get("long", 1e9) / max(width, height))
        new = [max(1, min(canvas[0], round(height * scale))), max(1, min(canvas[1], round(width * scale)))]
    page = Image.new("RGB", (canvas[1], canvas[0]), tuple(how.get("fill", (0, 0, 0))))
    page.paste(image.resize((new[1], new[0]), Image.Resampling.BILINEAR))
    size, scale = np.array(new, np.float32), np.array([new[0] / height, new[1] / width], np.float32)
    return {"image": np.array(page), "size": size, "scale": scale, "original": np.array([height, width], np.float32)}
'''

_SCRIPT = '''"""Use the exported network: python use.py photo.jpg; it needs {needs}, and not jaxvision."""

import json
import pathlib
import sys

import numpy as np
from PIL import Image, ImageOps
{imports}
HERE = pathlib.Path(__file__).parent
ABOUT = json.loads((HERE / "predict.json").read_text())

{prepare}

if __name__ == "__main__":
    {load}
    photo = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
    inputs = {{k: v[None] for k, v in prepared(photo, ABOUT["prepare"]).items() if k in ABOUT["inputs"]}}
    {call}
    for name, value in outputs.items():
        print(name, np.asarray(value).shape)
    if "probabilities" in outputs and ABOUT["class_names"]:
        for i in np.argsort(-np.asarray(outputs["probabilities"])[0])[:5]:
            print(f"{{ABOUT['class_names'][i]}}: {{float(outputs['probabilities'][0][i]):.3f}}")
'''

_FORMATS: Mapping[str, Mapping[str, str]] = {
    "stablehlo": {
        "needs": "jax, numpy and pillow",
        "imports": "from jax import export\n",
        "load": 'program = export.deserialize(bytearray((HERE / "predict.stablehlo").read_bytes()))',
        "call": "outputs = program.call(inputs)",
    },
    "onnx": {
        "needs": "onnxruntime, numpy and pillow",
        "imports": "import onnxruntime\n",
        "load": "options = onnxruntime.SessionOptions()\n"
        "    options.log_severity_level = 3  # errors alone\n"
        '    program = onnxruntime.InferenceSession(HERE / "predict.onnx", options)',
        "call": 'outputs = dict(zip(ABOUT["outputs"], program.run(list(ABOUT["outputs"]), inputs)))',
    },
}


def write(directory: Path, described: Mapping[str, Any], program: str) -> None:
    """Write predict.json and, for a program that takes images, use.py.

    Args:
        directory: the folder of the program.
        described: the program's inputs and outputs, the names of the classes, and how images are prepared.
        program: "stablehlo" or "onnx".
    """
    atomic_write(directory / "predict.json", json.dumps(described, indent=2))
    if described.get("prepare"):
        atomic_write(directory / "use.py", script(program))


def script(program: str) -> str:
    """Return the text of use.py for "stablehlo" or "onnx"."""
    return _SCRIPT.format(prepare=_PREPARE.strip(), **_FORMATS[program])
