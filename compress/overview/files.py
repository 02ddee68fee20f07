"""data.json, data.md and data.svg: what `compress data --out` leaves behind."""

from pathlib import Path

from compress.artifact import write_json, write_whole
from compress.data.overview import Overview
from compress.overview.markdown import render_markdown
from compress.overview.picture import draw_overview

_PICTURE = "data.svg"


def write_overview(found: Overview, out: Path) -> None:
    """The three files, each written whole."""
    write_whole(out / _PICTURE, draw_overview(found))
    write_whole(out / "data.md", render_markdown(found, _PICTURE))
    write_json(out / "data.json", found.to_json())
