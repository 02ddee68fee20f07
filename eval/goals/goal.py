"""What a model must reach, as one line of text: `label_f1[threat] >= teacher - 0.03`. Standard library alone.

    goal     = metric [ "[" at "]" ] relation bound [ "on" test set ]
    at       = label | "*" | part { "," part }          of label_f1 a label (*: each of them), of a time its setting
    part     = "cpu" | "cuda" | "batch" number | "threads" ( number | "all" )
    relation = ">=" | "<="
    bound    = number | model [ ( "+" | "-" ) number ]   model: "teacher", or a candidate's id

A label that begins with a double quote, holds a bracket or is called * stands in double quotes, those in it doubled.
`str(goal)` is the text again, and `eval.goals.text.parse_goal` of it the same goal.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

TEACHER = "teacher"
Kind: TypeAlias = Literal["average", "label", "values", "size", "time"]
Relation: TypeAlias = Literal[">=", "<="]
Device: TypeAlias = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Metric:
    """What a goal can be about. field: what it is called where it was measured.

    kind: averages and labels are a classifier's, values a regression's. relation: the one that asks for more quality.
    paired: whether the difference between two models is measured, so that the bound may be another model.
    """

    name: str
    kind: Kind
    relation: Relation
    field: str
    paired: bool = False


def _metrics() -> Mapping[str, Metric]:
    paired = {"macro_f1", "micro_f1", "macro_roc_auc", "macro_average_precision"}
    paired |= {"label_f1", "label_roc_auc", "label_average_precision"}
    scores = ("f1", "precision", "recall", "roc_auc", "average_precision")
    averages = [f"{kind}_{name}" for name in scores for kind in ("macro", "micro")]
    upwards, downwards = ("macro_r2", "macro_spearman"), ("macro_rmse", "macro_mae")
    found = [
        *(Metric(name, "average", ">=", name, paired=name in paired) for name in averages),
        Metric("accuracy", "average", ">=", "micro_f1", paired=True),
        *(Metric(f"label_{name}", "label", ">=", name, paired=f"label_{name}" in paired) for name in scores),
        *(Metric(name, "values", ">=", name) for name in upwards),
        *(Metric(name, "values", "<=", name) for name in downwards),
        Metric("size_mb", "size", "<=", "size_bytes"),
        Metric("size_gzip_mb", "size", "<=", "size_gzip_bytes"),
        Metric("parameters", "size", "<=", "parameters"),
        Metric("p50_ms", "time", "<=", "p50"),
        Metric("p95_ms", "time", "<=", "p95"),
        Metric("speedup", "time", ">=", "speedup_vs_teacher"),
    ]
    return {metric.name: metric for metric in found}


METRICS = _metrics()


def is_share(name: str) -> bool:
    """Whether this metric is a share, or as R² one of something: 1 is all there is, and a hundredth means the same."""
    metric = METRICS.get(name)
    return metric is not None and (
        metric.kind in {"average", "label"} or (metric.kind == "values" and metric.relation == ">=")
    )


@dataclass(frozen=True)
class EachLabel:
    """`[*]`: the goal holds for every label apart."""

    def __str__(self) -> str:
        return "*"


@dataclass(frozen=True)
class OneLabel:
    """`[threat]`."""

    name: str

    def __str__(self) -> str:
        plain = self.name and self.name == self.name.strip() and self.name != "*" and self.name[0] != '"'
        return self.name if plain and "]" not in self.name else '"' + self.name.replace('"', '""') + '"'


@dataclass(frozen=True)
class TimedAt:
    """`[cpu, batch 1, threads all]`; None: left open."""

    device: Device | None = None
    batch_size: int | None = None
    threads: int | Literal["all"] | None = None

    def __str__(self) -> str:
        batch = f"batch {self.batch_size}" if self.batch_size is not None else None
        threads = f"threads {self.threads}" if self.threads is not None else None
        return ", ".join(part for part in (self.device, batch, threads) if part is not None)


At: TypeAlias = EachLabel | OneLabel | TimedAt


@dataclass(frozen=True)
class Goal:
    """One goal. bound: a number, or with a reference what is added to the reference's. at: None where nothing is said.

    test_set: None is the first one.
    """

    metric: Metric
    at: At | None
    relation: Relation
    bound: float
    reference: str | None = None
    test_set: str | None = None

    def __str__(self) -> str:
        on = f" on {self.test_set}" if self.test_set is not None else ""
        return f"{self.about} {self.relation} {self._bound()}{on}"

    @property
    def about(self) -> str:
        """`label_f1[threat]`: what is to be reached, without how much."""
        return self.metric.name + (f"[{self.at}]" if self.at is not None else "")

    def _bound(self) -> str:
        if self.reference is None:
            return _shortest(self.bound)
        sign = "-" if self.bound < 0 else "+"
        return f"{self.reference} {sign} {_shortest(abs(self.bound))}" if self.bound else self.reference


def near(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing where no known word is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _shortest(number: float) -> str:
    """The shortest text that is read as this number again."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)
