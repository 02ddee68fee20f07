"""Tables in GitHub Markdown."""

from collections.abc import Container, Iterable, Sequence


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]], words: Container[int] = (0,)) -> str:
    """Names to the left, numbers to the right. words: the columns that hold names."""
    rule = ["---" if column in words else "---:" for column in range(len(headings))]
    lines = [[plain(cell) for cell in headings], rule, *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """Free text kept from breaking a table or a line."""
    return " ".join(text.split()).replace("|", "\\|")
