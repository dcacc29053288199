"""Execute the notebooks of this folder and keep what they print and draw: python docs/notebooks/execute.py [NAME …]

It needs docs/requirements.txt. Of a picture the smaller of PNG and JPEG is kept; one of over 100 kB is an error, and so
is a cell that fails. Nothing else of the session is kept, so that a repetition changes no more than the outputs.
"""

import base64
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
MOST = 100_000  # bytes of a picture
_PICTURES = ("image/png", "image/jpeg")


def execute(path: Path) -> None:
    """Run all cells in the project's folder, and write the notebook with its outputs."""
    notebook = nbformat.read(path, 4)
    os.environ["PYTHONPATH"] = str(ROOT)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(ROOT)}}).execute()
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = [thinned(output, path) for output in joined(cell.outputs)]
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, path)


def joined(outputs: list) -> list:
    """Return the outputs with what one stream wrote bit by bit in one piece."""
    kept: list = []
    for output in outputs:
        if kept and output.output_type == "stream" and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def thinned(output: nbformat.NotebookNode, path: Path) -> nbformat.NotebookNode:
    """Return an output with one form of its picture, the smaller one. ValueError: it is too large."""
    data = output.get("data", {})
    sizes = {kind: len(base64.b64decode(data[kind])) for kind in _PICTURES if kind in data}
    if sizes:
        best = min(sizes, key=lambda kind: sizes[kind])
        if sizes[best] > MOST:
            raise ValueError(f"{path.name}: a picture has {sizes[best]:,} bytes; draw a smaller one")
        output.data = {best: data[best]}
    return output


if __name__ == "__main__":
    names = sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    for name in names:
        execute(FOLDER / f"{name}.ipynb")
        print(f"{name}: done")
