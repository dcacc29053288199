"""A hook of mkdocs that makes a page of each notebook, with its pictures inside, so that no other program is needed."""

import json
import re
from pathlib import Path
from typing import Any

_MANY = 30  # lines of printed text that a page shows


def on_files(files: Any, config: Any) -> Any:
    """Replace each notebook among the files by a page of the same name."""
    from mkdocs.structure.files import File  # which tests do without

    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        page = page_of(Path(file.abs_src_path or ""))
        files.append(File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=page))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to notebooks, which GitHub follows, lead to their pages."""
    return re.sub(r"(\]\((?:[\w./]*/)?\w+)\.ipynb\)", r"\1.md)", markdown)


def page_of(path: Path) -> str:
    """Return a notebook as Markdown."""
    parts = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        else:
            parts += [f"```python\n{source}\n```", *(shown(output) for output in cell["outputs"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(output: dict[str, Any]) -> str:
    """Return what a cell has printed or drawn as Markdown."""
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            return f"![drawn by the cell above](data:{kind};base64,{''.join(data[kind]).replace(chr(10), '')})"
    text = "".join(output.get("text", data.get("text/plain", ""))).rstrip()
    lines = text.splitlines()
    cut = [f"… and {len(lines) - _MANY} more lines"] if len(lines) > _MANY else []
    return "\n".join(["```text", *lines[:_MANY], *cut, "```"]) if text else ""
