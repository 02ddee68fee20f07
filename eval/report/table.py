"""Tables in GitHub Markdown, and texts of others in it that show as they were written."""

import re
from collections.abc import Container, Iterable, Sequence

# What Markdown would take for its own: signs that always mark, a tag's or an entity's beginning, an underscore at a
# word's edge, a link's middle, a heading's closing number signs. `<=`, `a & b` and `severe_toxic` need nothing.
_MARKS = re.compile(r"[\\`*|~]|<(?=[A-Za-z/!?])|&(?=[#A-Za-z])|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[])|(?<!\S)#")


class Markdown(str):
    """Text of our own that is Markdown already, and is left as it is."""

    __slots__ = ()


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]], words: Container[int] = (0,)) -> str:
    """Names to the left, numbers to the right. words: the columns that hold names. Cells are `plain`."""
    rule = ["---" if column in words else "---:" for column in range(len(headings))]
    lines = [[plain(cell) for cell in headings], rule, *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """Free text within a line or a cell: it shows as it was written, runs of blanks as one, whatever signs it holds."""
    return text if isinstance(text, Markdown) else _MARKS.sub(r"\\\g<0>", " ".join(text.split()))


def bold(text: str) -> Markdown:
    """Free text in bold."""
    return Markdown(f"**{plain(text)}**")


def code(text: str) -> Markdown:
    """Free text as code within a line, not within a table: nothing in it is escaped, and nothing marks."""
    flat = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", flat)), default=0))
    room = " " * ("`" in flat)
    return Markdown(f"{fence}{room}{flat}{room}{fence}")
