"""data.md: the overview as a page. Notes come before numbers."""

from compress.data.overview import Overview
from compress.overview.tables import Section, sections
from eval.report.table import markdown_table, plain


def render_markdown(found: Overview, picture: str) -> str:
    """The overview as GitHub Markdown. picture: where the SVG lies, relative to the file."""
    parts = [f"# {plain(found.name)}: the data", *(f"> **Note:** {plain(note)}" for note in found.notes)]
    parts.append(f"![Labels by split, and the lengths of the texts]({picture})")
    parts += [_section(section) for section in sections(found)]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    title = f"## {plain(section.title[0].upper() + section.title[1:])}"
    table = [markdown_table(section.headings, section.rows)] if section.rows else []
    lines = ["\n".join(f"- {plain(line)}" for line in section.lines)] if section.lines else []
    return "\n\n".join([title, *table, *lines])
