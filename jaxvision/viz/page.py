"""HTML pages that need no network, no script and no other file: their style and their pictures lie inside.

Every function returns HTML. What it is given is text, and escaped, but for the parts of `document` and `section`.
"""

import base64
import html
import io
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import UInt8
from PIL import Image

WIDEST = 1600  # pixels of a picture in a page; wider ones are shrunk
_WEIGHT = 200  # bytes of a picture for each pixel of its greatest width, over which it becomes a JPEG
_QUALITY = 85


def document(title: str, parts: Iterable[str], *, style: str = "") -> str:
    """Return a whole HTML page.

    Args:
        title: the title and first heading.
        parts: parts of the page, already HTML.
        style: CSS besides the style that all pages have.
    """
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{text(title)}</title><style>{STYLE}{style}</style>'
    )
    body = "\n".join(part for part in parts if part)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>\n{body}\n</main></body></html>\n'


def text(value: Any) -> str:
    """Any value as text of a page."""
    return html.escape(str(value))


def name(value: Any) -> str:
    """A metric's or a setting's name, which may be broken at its slashes, dots and underscores."""
    return re.sub(r"([/._])", r"\1<wbr>", text(value))


def command(line: str) -> str:
    """A command that breaks between its words only."""
    words = " ".join(f"<span>{text(shlex.quote(word))}</span>" for word in shlex.split(line))
    return f"<pre>{words}</pre>"


def section(title: str, *parts: str) -> str:
    """Parts that are HTML under a heading; nothing where all are empty."""
    return f"<section><h2>{text(title)}</h2>\n{''.join(parts)}</section>" if any(parts) else ""


def address(path: Path) -> str:
    """Return the relative address of a file from the page's folder; file names may hold any character."""
    return quote(os.fsencode(path.as_posix()))  # names that are not UTF-8, too


def link(path: Path) -> str:
    """Return a link to a file, with its path from the page's folder."""
    return f'<a href="{address(path)}">{text(path)}</a>'


def picture(source: UInt8[np.ndarray, "H W 3"] | Path, description: str, *, widest: int = WIDEST) -> str:
    """Return an HTML image that lies inside the page.

    A small file is kept as it is; an image that would be large as a PNG becomes a JPEG.

    Args:
        source: a file, or an image.
        description: the text for readers who do not see the image.
        widest: most pixels of the image's width; a wider one is made smaller.

    Returns:
        The image; a line that says so where the file cannot be read.
    """
    try:
        image = Image.open(source) if isinstance(source, Path) else Image.fromarray(source)
        image.load()
    except Exception as error:  # Pillow raises nearly anything at a file that was cut short
        return f"<p class='quiet'>{text(description)}: {text(source)} cannot be read: {text(error)}</p>"
    with image:
        scale = min(1.0, widest / image.width)
        size = (round(image.width * scale), max(1, round(image.height * scale)))
        if isinstance(source, Path) and scale == 1.0 and source.stat().st_size <= _WEIGHT * widest:
            data, kind = source.read_bytes(), image.format or "PNG"
        else:
            data, kind = _encoded(image.convert("RGB").resize(size, Image.Resampling.LANCZOS), _WEIGHT * widest)
    inside = f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode('ascii')}"
    return f'<img alt="{text(description)}" width="{size[0]}" height="{size[1]}" src="{inside}">'


def figure(image: str, caption: str) -> str:
    """An image of `picture` over its caption."""
    return f"<figure>{image}<figcaption>{text(caption)}</figcaption></figure>"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under the names of their columns; the first column names them, the others are figures."""
    head = "".join(f"<th>{text(column)}</th>" for column in columns)
    lines = (f"<tr><th>{text(row[0])}</th>{''.join(f'<td>{text(cell)}</td>' for cell in row[1:])}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def fields(values: Mapping[str, Any], meaning: Callable[[str], str] = lambda key: "") -> str:
    """Return names and their values, in as many columns as there is room for.

    Args:
        values: the values by name.
        meaning: gives a text about a name, which is shown when the name is pointed at; "" for none.
    """
    pairs = "".join(
        f"<div><dt{_title(meaning(key))}>{name(key)}</dt><dd>{text(value)}</dd></div>" for key, value in values.items()
    )
    return f"<dl>{pairs}</dl>" if pairs else ""


def cards(figures: Iterable[tuple[str, str, str]], meaning: Callable[[str], str] = lambda key: "") -> str:
    """Return large numbers.

    Args:
        figures: for each its value, its name and a remark.
        meaning: gives a text about a name, see `fields`.
    """
    every = "".join(
        f'<div class="card"{_title(meaning(what))}><b>{text(value)}</b>{name(what)}<small>{text(remark)}</small></div>'
        for value, what, remark in figures
    )
    return f'<div class="cards">{every}</div>' if every else ""


def _title(words: str) -> str:
    return f' title="{text(words)}"' if words else ""


def from_markdown(lines: str) -> str:
    """Paragraphs and tables, such as `viz.table` writes; nothing else of Markdown."""
    blocks = [block.splitlines() for block in lines.split("\n\n") if block.strip()]
    return "".join(
        _table_of(block) if block[0].startswith("|") else f"<p>{text(' '.join(block))}</p>" for block in blocks
    )


def _table_of(block: Sequence[str]) -> str:
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block]
    return table(cells[0], cells[2:])


def _encoded(image: Image.Image, heaviest: int) -> tuple[bytes, str]:
    """Encode an image as a PNG if that is small enough, else as a JPEG; also return the type."""
    file = io.BytesIO()
    image.save(file, "PNG")
    if file.tell() <= heaviest:
        return file.getvalue(), "PNG"
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return file.getvalue(), "JPEG"


STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--paper:#fff;--quiet:#57606a;--line:#d8dee4;--thin:#e6e9ed;--soft:#f6f8fa;
--link:#0b5cad}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--paper:#14181d;--quiet:#a2acb6;--line:#3a424b;--thin:#2a3138;
--soft:#1d2329;--link:#79b8ff}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;
color:var(--ink);background:var(--paper);max-width:1152px;margin:0 auto;padding:28px 16px 64px}
h1,h2,h3{line-height:1.25;overflow-wrap:anywhere}h1{font-size:1.8rem;margin:0 0 4px}
h2{font-size:1.25rem;margin:40px 0 14px;border-bottom:1px solid var(--line);padding-bottom:6px}h3{margin:24px 0 8px}
p{margin:8px 0 12px}a{color:var(--link)}small,figcaption,.quiet{color:var(--quiet);font-size:.85rem}
pre{background:var(--soft);border:1px solid var(--line);border-radius:8px;padding:12px 14px;margin:8px 0 12px;
font:.85rem/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;white-space:pre-wrap;
overflow-wrap:anywhere}pre span{display:inline-block}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:16px 0}
.card{border:1px solid var(--line);border-radius:10px;padding:12px 16px;overflow-wrap:anywhere}
.card b{display:block;font-size:1.75rem;line-height:1.2;font-variant-numeric:tabular-nums}.card small{display:block}
.wide{overflow-x:auto;margin:12px 0}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}
th,td{padding:4px 14px;text-align:right;white-space:nowrap}tr+tr{border-top:1px solid var(--thin)}th{font-weight:600}
th:first-child{text-align:left;padding-left:0}tr+tr>th{font-weight:400}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(300px,100%),1fr));gap:0 32px;margin:12px 0;
font-size:.92rem}
dl div{display:flex;justify-content:space-between;gap:16px;border-bottom:1px solid var(--thin);padding:3px 0}
dt{color:var(--quiet)}dt[title],.card[title]{cursor:help}dt[title]{text-decoration:underline dotted;
text-underline-offset:3px}dd{margin:0;text-align:right;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.pictures{display:flex;flex-wrap:wrap;gap:22px;align-items:flex-start;margin:14px 0}
.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(480px,100%),1fr));gap:16px}
figure{margin:0;max-width:100%}figcaption{margin-top:4px}img{max-width:100%;height:auto;display:block}
summary{cursor:pointer;margin:8px 0}
"""
