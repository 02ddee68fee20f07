"""What `compress` answers, and whether the consumers answer the same. Called by consumers.sh, where the rules are.

python consumers_compare.py expect ARTIFACT FOLDER [--input FILE]    writes texts.json and expected.json
python consumers_compare.py judge ARTIFACT FOLDER                    prints the table; exit code 1 if one differs
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress import open_predictor
from compress.artifact import Artifact, open_artifact
from compress.data import open_rows

Floats = NDArray[np.float64]
TOLERANCE = 1e-4
ROWS = 50
AWKWARD = (
    "",
    " ",
    "\n",
    "YOU ARE THE WORST EDITOR EVER, STOP IT!!!",
    "first line\nsecond line\r\n\r\nfourth\tafter a tab",
    "café and cafe\u0301, naïve, STRASSE Straße, İstanbul ıssız, ﬁne, Ⅷ, x²",
    "你好，世界。これはテストです 한국어 ไทย العربية עברית हिन्दी",
    "😀👍🏽 👩‍👩‍👧 ❤️ flag 🇺🇦",
    "zero\u200bwidth, no\u00a0break, thin\u2009space, soft\u00adhyphen, \ufeffmark, bell\u0007, del\u007f, \ufffd",
    "y0u 1d10t, f.u.c.k, $h!t, sh*t, i'd've, don't—won’t “quoted” … §5",
    "== Heading == <b>bold</b> [[link|text]] {{unblock}} http://example.org/a?b=c&d=%20 ~~~~ 127.0.0.1",
    "[CLS] written out [SEP] and [MASK] </s> <unk>",
    "a" * 300,
    "!" * 300,
    "this goes on and on, you fool, " * 120,
    "Not a WORD less than this: ünïcödé 測試 " * 100,
)


@dataclass(frozen=True)
class Row:
    """One line of the table. difference: the largest, in probability; None where the consumer gave nothing."""

    consumer: str
    how: str
    texts: int
    difference: float | None
    counts: bool = True

    @property
    def failed(self) -> bool:
        """Whether this line fails the check; NaN does too."""
        return self.counts and not (self.difference is not None and self.difference <= TOLERANCE)

    def __str__(self) -> str:
        shown = "could not open or run it" if self.difference is None else f"{self.difference:.1e}"
        verdict = ("DIFFERS" if self.failed else "same") if self.counts else "for information"
        return f"  {self.consumer:<54} {self.how:<34} {self.texts:>5}  {shown:>8}  {verdict}"


def expect(artifact: Artifact, folder: Path, source: Path | None) -> None:
    """Writes the texts and our probabilities (N, L) of them."""
    texts = [*_first_texts(artifact, source), *AWKWARD]
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    ours = _by_command(artifact, texts) if _is_fp32(artifact) else _one_by_one(artifact, texts)
    (folder / "expected.json").write_text(json.dumps(ours.tolist()), encoding="utf-8")


def judge(artifact: Artifact, folder: Path) -> int:
    """Prints the table; returns the exit code."""
    expected = np.array(json.loads((folder / "expected.json").read_text(encoding="utf-8")))
    rows = [row for name in ("optimum", "transformersjs") for row in _judged(artifact, folder, name, expected)]
    how = "`compress predict`" if _is_fp32(artifact) else "predict_proba, one text at a time"
    print(f"{artifact.path.name} ({artifact.manifest.precision}), against {how}; largest difference in probability:")
    print(*rows, sep="\n")
    return int(any(row.failed for row in rows))


def _judged(artifact: Artifact, folder: Path, name: str, expected: Floats) -> list[Row]:
    file = folder / f"{name}.json"
    if not file.is_file():
        return [Row(name, "", 0, None)]
    found = json.loads(file.read_text(encoding="utf-8"))
    if tuple(found["labels"]) != artifact.manifest.labels:
        return [Row(found["versions"], f"labels {found['labels']}", 0, None)]
    kinds = {"single": ("one text at a time", True), "batch": ("padded together", _is_fp32(artifact))}
    kinds["stock"] = ("too long, its own truncation", False)
    kinds["default"] = ("one at a time, default session", _is_fp32(artifact))
    rows = []
    for kind, (how, counts) in kinds.items():
        logits = found.get(kind, [])
        kept = [index for index, row in enumerate(logits) if row is not None]
        if kept:
            probabilities = _probabilities(artifact, np.array([logits[index] for index in kept], np.float64))
            difference = float(np.abs(probabilities - expected[kept]).max())
            rows.append(Row(found["versions"], how, len(kept), difference, counts))
    return rows


def _probabilities(artifact: Artifact, logits: Floats) -> Floats:
    """What a consumer computes from logits (N, L) with the files beside the model: decision.json and config.json."""
    decision = json.loads((artifact.path / "decision.json").read_text(encoding="utf-8"))
    config = json.loads((artifact.path / "config.json").read_text(encoding="utf-8"))
    scaled = logits / decision["calibration_temperature"]
    if config["problem_type"] == "multi_label_classification":
        return 1 / (1 + np.exp(-scaled))
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _first_texts(artifact: Artifact, source: Path | None) -> list[str]:
    if source is None:
        from compress.data.synthetic import generate

        return list(generate("test", 13)[0][:ROWS])
    task = artifact.manifest.task
    with open_rows(source, task.text, task.join) as rows:
        return [row.text for row in islice(rows, ROWS)]


def _by_command(artifact: Artifact, texts: list[str]) -> Floats:
    """Through the command line, all texts in one file."""
    with tempfile.TemporaryDirectory() as folder:
        file, scored = Path(folder, "texts.jsonl"), Path(folder, "scored.jsonl")
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        command = [sys.executable, "-m", "compress", "predict", artifact.path, "--input", file, "--output", scored]
        subprocess.run([*map(str, command), "--text-column", "text"], check=True, stdout=subprocess.DEVNULL)
        rows: list[dict[str, Any]] = [json.loads(line) for line in scored.read_text(encoding="utf-8").splitlines()]
    return np.array([[row[f"{label}_probability"] for label in artifact.manifest.labels] for row in rows])


def _one_by_one(artifact: Artifact, texts: list[str]) -> Floats:
    predictor = open_predictor(artifact.path)
    return np.concatenate([predictor.predict_proba([text]) for text in texts]).astype(np.float64)


def _is_fp32(artifact: Artifact) -> bool:
    return artifact.manifest.precision == "fp32"


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("expect", "judge"))
    parser.add_argument("artifact", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--input", type=Path)
    arguments = parser.parse_args()
    artifact = open_artifact(arguments.artifact)
    if arguments.action == "judge":
        return judge(artifact, arguments.folder)
    expect(artifact, arguments.folder, arguments.input)
    return 0


if __name__ == "__main__":
    sys.exit(main())
