"""README.md of an artifact: a model card as Hugging Face's hub reads it, filled from the report.

It lies beside the files that the manifest lists and is none of them: the artifact's digest does not depend on it. Its
last lines hold a digest of what was written; a card that somebody has edited since is never written over.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from compress.artifact import Artifact, sha256_text, write_whole
from compress.recipe.recipe import Repeat
from eval.report.report import Report

CARD = "README.md"
_MARK = "<!-- written by compress, and anew by each run unless it was edited; sha256 of all above: {digest} -->\n"
_MARKED = re.compile(_MARK.format(digest="([0-9a-f]{64})") + r"\Z")


def write_cards(
    artifacts: Mapping[str, Artifact], report: Report, data_sha256s: Mapping[str, str], repeats: Sequence[Repeat] = ()
) -> None:
    """A card into the folder of each artifact that the report measured, unless somebody has edited the one there.

    data_sha256s: split -> sha256 of its rows. repeats: stages with further seeds, whose artifacts get one too.
    """
    from compress.card.metadata import base_model
    from compress.card.text import card_text, repeat_text

    follows = {it["id"]: it.get("from") for it in report.recipe.get("stages", ())}
    follows |= {it.stage.id: follows.get(it.of) for it in repeats}
    texts = {it.id: partial(card_text, artifacts[it.id], it) for it in report.candidates}
    texts |= {it.stage.id: partial(repeat_text, artifacts[it.stage.id], it) for it in repeats}
    for name, text in texts.items():
        artifact = artifacts[name]
        if not is_edited(artifact.path):
            written = text(report, data_sha256s, base_model(artifact, artifacts, follows))
            write_whole(artifact.path / CARD, marked(written))


def cards_there(artifacts: Mapping[str, Artifact]) -> bool:
    """Whether every artifact has a card, whoever wrote it."""
    return all((it.path / CARD).is_file() for it in artifacts.values())


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
