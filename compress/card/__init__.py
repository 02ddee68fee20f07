"""README.md of an artifact: a model card as Hugging Face's hub reads it, filled from the report.

It lies beside the files that the manifest lists and is none of them: the artifact's digest does not depend on it. Its
last lines hold a digest of what was written; a card that somebody has edited since is never written over.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from compress.artifact import Artifact, sha256_text, write_whole
from eval.report.report import Report

CARD = "README.md"
_MARK = "<!-- written by compress, and anew by each run unless it was edited; sha256 of all above: {digest} -->\n"
_MARKED = re.compile(_MARK.format(digest="([0-9a-f]{64})") + r"\Z")


def write_cards(artifacts: Mapping[str, Artifact], report: Report, data_sha256s: Mapping[str, str]) -> None:
    """A card into the folder of each artifact that the report measured, unless somebody has edited the one there.

    data_sha256s: split -> sha256 of its rows.
    """
    from compress.card.text import card_text

    for measured in report.candidates:
        artifact = artifacts[measured.id]
        if not is_edited(artifact.path):
            write_whole(artifact.path / CARD, marked(card_text(artifact, measured, report, data_sha256s)))


def cards_there(artifacts: Mapping[str, Artifact], report: Report) -> bool:
    """Whether every measured artifact has a card, whoever wrote it."""
    return all((artifacts[it.id].path / CARD).is_file() for it in report.candidates)


def marked(text: str) -> str:
    """The card with its digest below, by which a later run knows it for its own."""
    return text + _MARK.format(digest=sha256_text(text))


def is_edited(folder: Path) -> bool:
    """Whether the folder has a README.md that is not, byte for byte, what a run wrote."""
    file = folder / CARD
    if not file.is_file():
        return False
    text = file.read_bytes().decode("utf-8", errors="replace")
    found = _MARKED.search(text)
    return found is None or found.group(1) != sha256_text(text[: found.start()])


def keep_edited(old: Path, new: Path) -> None:
    """Takes an edited card along into the folder that is about to replace `old`."""
    if is_edited(old):
        shutil.copy2(old / CARD, new / CARD)
