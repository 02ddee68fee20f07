"""A goal's text -> Goal, by the grammar that `eval.goals.goal` states. Standard library alone."""

import math
import re

from eval.errors import GoalError, UnknownMetricError
from eval.goals.goal import METRICS, At, EachLabel, Goal, Metric, OneLabel, Relation, TimedAt, is_share, near


def parse_goal(text: str) -> Goal:
    """The goal that a text says. Raises GoalError that names the place and the next step."""
    reader = _Reader(text)
    metric = reader.metric()
    at = reader.at(metric)
    relation = reader.relation(metric)
    reference, bound = reader.bound(metric)
    return Goal(metric, at, relation, bound, reference, reader.test_set(metric))


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SIGNED = re.compile(rf"[+-]?{_NUMBER.pattern}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_GLUED = re.compile(rf"({_MODEL.pattern}?)([+-])({_NUMBER.pattern})")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_FILLED = re.compile(r"\S+")
_COMPARISON = re.compile(r"[<>=≤≥≦≧!~]+")
_DASH = re.compile("[\u2010-\u2015\u2212\ufe63\uff0d]")  # what text programs make of a minus
_PARTS = ("cpu", "cuda", "batch", "threads")


class _Reader:
    """A text, and how far it has been read."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0

    def metric(self) -> Metric:
        self._skip()
        word = self._take(_WORD)
        if word is None:
            raise self._error("a goal begins with a metric, e.g. macro_f1 >= teacher - 0.01")
        if word not in METRICS:
            error = self._error(f"{word} is no metric{near(word, METRICS)}; metrics: {', '.join(METRICS)}", len(word))
            raise UnknownMetricError(str(error), word)
        return METRICS[word]

    def at(self, metric: Metric) -> At | None:
        self._skip()
        if not self._is("["):
            if metric.kind == "label":
                name = metric.name
                raise self._error(f"{name} is of a label: write {name}[LABEL], or {name}[*] for each label apart")
            return None
        if metric.kind not in {"label", "time"}:
            raise self._error(
                f"{metric.name} takes no brackets; label_f1 and the like take a label, times and speedup a setting"
            )
        self.place += 1
        found = self._label() if metric.kind == "label" else self._timed_at()
        self._skip()
        if not self._is("]"):
            raise self._error("a closing bracket ] is missing here")
        self.place += 1
        return found

    def relation(self, metric: Metric) -> Relation:
        self._skip()
        found = self._take(_COMPARISON)
        better = "higher" if metric.relation == ">=" else "lower"
        if found is None:
            raise self._error(f"after {metric.name} comes {metric.relation} and a bound")
        if found not in {">=", "<="}:
            raise self._error(f"{found} is no comparison of a goal; write {metric.relation}", len(found))
        if found != metric.relation:
            raise self._error(f"{metric.name} is better the {better} it is; write {metric.relation}", len(found))
        return metric.relation

    def bound(self, metric: Metric) -> tuple[str | None, float]:
        """The reference, if there is one, and the number."""
        self._skip()
        word = self._take(_FILLED)
        if word is None:
            what = "a number or a model, e.g. teacher - 0.01" if metric.paired else "a number"
            raise self._error(f"after {metric.relation} comes {what}")
        if _SIGNED.fullmatch(word):
            return None, self._possible(metric, word)
        if dash := _DASH.search(word):
            raise self._error(_no_minus(dash[0]), len(word) - dash.start())
        if not _MODEL.fullmatch(word):
            glued = _GLUED.fullmatch(word)
            hint = f"; leave a blank on both sides of the sign: {' '.join(glued.groups())}" if glued else ""
            raise self._error(f"{word} is neither a number nor a model's id{hint}", len(word))
        if not metric.paired:
            raise self._error(_no_difference(metric, word), len(word))
        return word, self._margin(metric)

    def test_set(self, metric: Metric) -> str | None:
        self._skip()
        rest = self.text[self.place :].strip()
        if not rest:
            return None
        if rest.split()[0] != "on":
            hint = ", and a sign has a blank on both sides" if _SIGNED.match(rest) else ""
            raise self._error(f"this is left over; after the bound only `on TESTSET` may stand{hint}")
        name = rest.removeprefix("on").strip()
        if not name:
            raise self._error("after `on` comes the name of a test set")
        if metric.kind in {"size", "time"}:
            raise self._error(f"{metric.name} is of no test set: leave `on {name}` out")
        self.place = len(self.text)
        return name

    def _label(self) -> At:
        self._skip()
        quoted = _QUOTED.match(self.text, self.place)
        if quoted:
            self.place = quoted.end()
            return OneLabel(quoted[1].replace('""', '"'))
        end = self.text.find("]", self.place)
        name = self.text[self.place : end if end >= 0 else None].strip()
        if not name:
            raise self._error("the brackets hold a label, or * for each label apart")
        self.place = end if end >= 0 else len(self.text)
        return EachLabel() if name == "*" else OneLabel(name)

    def _timed_at(self) -> At:
        found: dict[str, str | int] = {}
        while True:
            self._skip()
            key, value = self._part()
            if key in found:
                raise self._error(f"{key.removesuffix('_size')} stands twice; keep one of them")
            found[key] = value
            self._skip()
            if not self._is(","):
                return TimedAt(**found)  # type: ignore[arg-type]  # _part gives each key its type
            self.place += 1

    def _part(self) -> tuple[str, str | int]:
        """A field of TimedAt and its value."""
        word = self._take(_WORD)
        if word in {"cpu", "cuda"}:
            return "device", word
        if word not in {"batch", "threads"}:
            hint = near(word or "", _PARTS)
            length = len(word or "")
            raise self._error(f"a setting reads cpu or cuda, batch 1, threads 1 or threads all{hint}", length)
        self._skip()
        count = self._take(re.compile(r"[A-Za-z0-9_.+-]+")) or ""
        if word == "threads" and count == "all":
            return "threads", "all"
        if not re.fullmatch(r"0*[1-9]\d*", count):
            example = f"{word} 1, or threads all" if word == "threads" else f"{word} 1"
            raise self._error(f"after {word} comes a whole number from 1 up, as in {example}", len(count))
        return ("threads" if word == "threads" else "batch_size"), int(count)

    def _margin(self, metric: Metric) -> float:
        """What stands after a model: its sign and number, or 0 where there is none."""
        self._skip()
        if dash := _DASH.match(self.text, self.place):
            raise self._error(_no_minus(dash[0]))
        if not (self._is("+") or self._is("-")):
            return 0.0
        sign = -1.0 if self._is("-") else 1.0
        self.place += 1
        self._skip()
        number = self._take(_NUMBER)
        if number is None:
            raise self._error("after the sign comes a number, e.g. 0.01")
        margin = self._finite(number)
        if margin > 1:
            raise self._error(f"{metric.name} {_SHARE}, and so are differences of it{_hundredth(margin)}", len(number))
        return sign * margin or 0.0  # no -0.0

    def _possible(self, metric: Metric, number: str) -> float:
        """A bound that can be reached, and be fallen short of."""
        bound = self._finite(number)
        if metric.kind in {"average", "label"} and not 0 <= bound <= 1:
            raise self._error(f"{metric.name} {_SHARE}{_hundredth(bound)}", len(number))
        if is_share(metric.name) and bound > 1:  # R² and Spearman's correlation
            raise self._error(f"{metric.name} is 1 at most{_hundredth(bound)}", len(number))
        if metric.kind in {"size", "time"} and bound <= 0:
            raise self._error(f"{metric.name} is always above 0", len(number))
        if metric.kind == "values" and metric.relation == "<=" and bound < 0:
            raise self._error(f"{metric.name} is never below 0", len(number))
        return bound

    def _finite(self, number: str) -> float:
        if not math.isfinite(float(number)):
            raise self._error(f"{number} is too large a number", len(number))
        return float(number) or 0.0

    def _skip(self) -> None:
        while self.place < len(self.text) and self.text[self.place].isspace():
            self.place += 1

    def _is(self, mark: str) -> bool:
        return self.text.startswith(mark, self.place)

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.place)
        if found is None:
            return None
        self.place = found.end()
        return found[0]

    def _error(self, message: str, back: int = 0) -> GoalError:
        """At the place read up to, or so many characters before it."""
        place = self.place - back
        rest = self.text[place:].strip()
        where = f"at {rest!r}, character {place + 1}" if rest else "at its end"
        return GoalError(f"{where}: {message}")


_SHARE = "is a share from 0 to 1"


def _hundredth(number: float) -> str:
    """`; 98 % is 0.98`, where that is what may be meant."""
    return f"; {number:g} % is {number / 100:g}" if 1 < number <= 100 else ""


def _no_minus(dash: str) -> str:
    return f"{dash} (U+{ord(dash):04X}) is no minus of a goal; write -, with a blank on both sides after a model"


def _no_difference(metric: Metric, model: str) -> str:
    if model[0].isdigit():
        return f"{model} is no number"
    if metric.kind == "time":
        return f"{metric.name} is compared with a number; against the teacher there is speedup"
    if metric.kind != "average":
        return f"{metric.name} is compared with a number, not with {model}"
    paired = ", ".join(name for name, other in METRICS.items() if other.paired and name != "accuracy")
    return f"of {metric.name} no paired difference between two models is measured, so give a number; of {paired} it is"
