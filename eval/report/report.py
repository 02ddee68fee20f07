"""Report and report.json: all that a run found out, as one plain JSON document. Reading one needs nothing heavy."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eval.errors import InvalidInputError
from eval.goals.verdicts import Verdict
from eval.latency.conditions import Conditions
from eval.measurement import Measurement
from eval.plain import dump, read
from eval.seeds import SeedSpread
from eval.values import RegressionQuality

SCHEMA_VERSION = 1
_NUMBERS = re.compile(r"\[\n[-+.,0-9eE\s]+\n\s*\]")


@dataclass(frozen=True)
class Report:
    """Every candidate of a run, and where they came from.

    recipe: the resolved recipe, plain JSON. environment: machine, versions, threads, plain JSON. teacher_id: the
    candidate that speedups are relative to, or None. first_set: the test set that tables show first; every candidate
    was judged on it. notes: sentences a reader must see before the numbers (e.g. that the data is synthetic).
    command: what was typed to make it, or None. seeds: of the stages that were trained with several.
    verdicts: on the recipe's goals, in its order. timing: what else the machine did while times were taken.
    test_sha256s: of each test set's rows, by which two reports know that they were judged on the same ones; empty where
    nobody said. validation_positives: by label, among the rows that thresholds were chosen on; empty where nobody said,
    or none were chosen.
    """

    name: str
    recipe: dict[str, Any]
    environment: dict[str, Any]
    candidates: tuple[Measurement, ...]
    teacher_id: str | None
    first_set: str
    notes: tuple[str, ...]
    command: str | None = None
    seeds: tuple[SeedSpread, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    timing: tuple[Conditions, ...] = ()
    test_sha256s: dict[str, str] = field(default_factory=dict)
    validation_positives: dict[str, int] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        for candidate in self.candidates:
            if self.first_set not in candidate.quality_by_set:
                raise InvalidInputError(f"{candidate.id} was not judged on the first test set, {self.first_set!r}")
        qualities = [quality for it in self.candidates for quality in it.quality_by_set.values()]
        if len({isinstance(quality, RegressionQuality) for quality in qualities}) > 1:
            raise InvalidInputError("a regression's quality does not compare with a classifier's; report them apart")

    @property
    def regression(self) -> RegressionQuality | None:
        """Of a report on regressions, one candidate's quality on the first set, for its rows and targets; else None."""
        first = next((it.quality_by_set[self.first_set] for it in self.candidates), None)
        return first if isinstance(first, RegressionQuality) else None

    def to_json(self) -> dict[str, Any]:
        """The document written to report.json; the first test set comes first in each `quality_by_set`."""
        return {
            "schema_version": self.schema_version,
            "name": self.name,
            "command": self.command,
            "recipe": self.recipe,
            "environment": self.environment,
            "notes": list(self.notes),
            "teacher": self.teacher_id,
            "candidates": [_with_set_first(candidate, self.first_set).to_json() for candidate in self.candidates],
            "seeds": [dump(it) for it in self.seeds],
            "timing": [dump(it) for it in self.timing],
            "verdicts": [dump(it) for it in self.verdicts],
            "test_sha256s": self.test_sha256s,
            "validation_positives": self.validation_positives,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Report":
        """Reads what `to_json` wrote. Raises InvalidInputError for another schema version, or if a field is missing."""
        if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
            version = data.get("schema_version") if isinstance(data, dict) else None
            raise InvalidInputError(f"the report has schema_version {version}; {SCHEMA_VERSION} is what this reads")
        try:
            candidates = tuple(Measurement.from_json(candidate) for candidate in data["candidates"])
            return cls(
                name=data["name"],
                recipe=data["recipe"],
                environment=data["environment"],
                candidates=candidates,
                teacher_id=data["teacher"],
                first_set=next((name for it in candidates for name in it.quality_by_set), ""),
                notes=tuple(data["notes"]),
                command=data.get("command"),
                seeds=read(tuple[SeedSpread, ...], data.get("seeds", [])),
                verdicts=read(tuple[Verdict, ...], data.get("verdicts", [])),
                timing=read(tuple[Conditions, ...], data.get("timing", [])),
                test_sha256s=read(dict[str, str], data.get("test_sha256s", {})),
                validation_positives=read(dict[str, int], data.get("validation_positives", {})),
            )
        except (KeyError, TypeError, AttributeError, InvalidInputError) as error:
            raise InvalidInputError(f"the report is damaged, or not one of ours: {error!r}") from error


def dump_report(report: Report) -> str:
    """The text of report.json, lists of numbers on one line. ValueError if a NaN or infinity got in: they are not JSON.

    Line ends are never part of a string in JSON, so that no text is taken for a list.
    """
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    return _NUMBERS.sub(lambda found: " ".join(found[0].split()), text) + "\n"


def load_report(path: Path) -> Report:
    """Reads a report.json. Raises InvalidInputError if it is not one, OSError if it cannot be read."""
    try:
        return Report.from_json(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise InvalidInputError(f"{path} is not JSON: {error}") from error


def _with_set_first(candidate: Measurement, first_set: str) -> Measurement:
    others = {name: quality for name, quality in candidate.quality_by_set.items() if name != first_set}
    return replace(candidate, quality_by_set={first_set: candidate.quality_by_set[first_set], **others})
