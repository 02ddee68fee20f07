"""How to read a report, point by point: report.md and the page say the same."""

from collections.abc import Sequence

from eval.report.latency import HOW_TO_READ
from eval.report.report import Report

_NAMED = 6  # labels that are named; of more the number
GAINS = """\
Each stage beside the model it began with: sizes and parameters are shares of that one's, speed is its time divided by
the stage's, paired by round. An interval that holds 1 (of a speed) or 0 (of a change in quality) shows no difference;
without brackets the two were not measured in pairs. Decisions changed are those of all rows and labels that are not
the same as its own, for better or worse. Of several averaged teachers it is the first that a stage is held against."""
_COMMON = """\
{quality}
- Time is wall clock from text to {answers}, tokenization included. *Speedup* is teacher time / candidate time,
  paired by round, on the same device, threads and batch: above 1 is faster.
{times}
- MB are millions of bytes of every file needed to predict; gzip MB the same files compressed (level 6)."""
_CLASSIFIERS = """\
- Brackets after quality hold 95 % intervals: of a label's F1 Wilson's, which holds at a dozen positives and at a
  perfect score; of a macro average the labels' own, put together (MOVER) by how the labels go with one another in a
  bootstrap over the rows of the test set that keeps rare labels in; of rankings and micro averages Wilson's, of as many
  trials as that bootstrap's spread is worth. They say how far a number may move on other rows of this kind; they are no
  paired test between two candidates.
- *Macro* is the mean over labels, so a rare label weighs as much as a common one; *micro* pools all decisions.
- *undefined*: the label has no positive in that test set (a ranking: or no negative; a precision: or nothing is decided
  positive). A dash (–): not measured; p99 needs 200 samples.
- Thresholds come from validation data only. "F1 at 0.5" is the same model without them."""
_REGRESSIONS = """\
- Brackets after quality hold 95 % intervals, a bootstrap over the rows of the test set, wider where these are few; one
  row has none. They say how far a number may move on other rows of this kind; they are no paired test between two
  candidates.
- *RMSE* and *MAE* are in the target's own unit. *R²* is the share of the variance explained: 1 is all of it, 0 as good
  as always giving the mean. *Spearman* is the correlation of the ranks. *Macro* is the mean over targets, for
  RMSE and MAE of no use where their units differ.
- *undefined*: all rows of that test set have one value. A dash (–): not measured; p99 needs 200 samples."""


def unchosen_labels(report: Report) -> tuple[str, ...]:
    """Those without a positive among the rows that thresholds are chosen on."""
    return tuple(label for label, positives in report.validation_positives.items() if not positives)


def unchosen_text(report: Report) -> str:
    """Whose thresholds say nothing of their own label, and what stands in for them; empty where all were chosen."""
    labels = unchosen_labels(report)
    if not labels:
        return ""
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    every = len(labels) == len(report.validation_positives)
    instead = "0.5" if every else "that of all labels together"
    return (
        f"No threshold could be chosen for {', '.join(labels[:_NAMED])}{more}: the validation rows hold no positive. "
        f"What stands in is {instead}; F1, precision and recall there are those of a threshold that nobody chose."
    )


def how_to_read(report: Report) -> str:
    """A Markdown list."""
    quality, answers = (_CLASSIFIERS, "probabilities") if report.regression is None else (_REGRESSIONS, "values")
    return _COMMON.format(quality=quality, answers=answers, times=HOW_TO_READ)


def in_parts(points: str) -> list[Sequence[str]]:
    """Each point of such a list in parts, by turns as it is and emphasised."""
    return [" ".join(point.split()).split("*") for point in points.removeprefix("- ").split("\n- ")]
