"""What `init` asks where it is not sure: on a terminal a numbered question, elsewhere an error that names the flags."""

import csv
import sys
from collections.abc import Sequence

import typer

from compress.data.guess import Answers, Doubt, Guess, Sheet, answered, guess
from compress.data.label_guess import TaskType
from compress.errors import DataError
from compress.screen import console


def asked_for(
    header: bool | None,
    text: Sequence[str] | None,
    labels: Sequence[str] | None,
    label_column: str | None,
    task: TaskType | None,
) -> Answers:
    """What the flags say. labels: names with commas between them; a name with a comma in it stands in double quotes."""
    if labels and label_column is not None:
        raise DataError("--labels and --label-column: give one of them; a label is a column, or cells name the labels")
    names = tuple(name.strip() for line in csv.reader(labels or ()) for name in line)
    return Answers(
        header=header,
        text=tuple(text) if text else None,
        labels=(label_column,) if label_column is not None else names or None,
        in_cells=label_column is not None,
        task=task,
    )


def settled(sheet: Sheet, answers: Answers, label_names: tuple[str, ...], *, yes: bool) -> Guess:
    """The guess, with every doubt asked about. yes: the guesses are taken instead.

    DataError where there is a doubt and no terminal to ask on.
    """
    while True:
        guessed = guess(sheet, answers, label_names)
        if yes or not guessed.doubts:
            return guessed
        if not sys.stdin.isatty():
            raise DataError(_unsure(sheet.place, guessed.doubts))
        answers = answered(answers, guessed.doubts[0], _ask(sheet.place, guessed.doubts[0]))


def _unsure(place: str, doubts: tuple[Doubt, ...]) -> str:
    """Every question with the flag that answers it as guessed."""
    lines = [f"  {doubt.question} {_options(doubt)}; e.g. {doubt.flag}" for doubt in doubts]
    return "\n".join(
        [f"{place}: not sure, and there is no terminal to ask on; say so, or take the guess: --yes", *lines]
    )


def _options(doubt: Doubt) -> str:
    return "; ".join(", ".join(option) for option in doubt.options)


def _ask(place: str, doubt: Doubt) -> tuple[int, ...]:
    """The options taken, by number from 0; asks again until the reply is understood."""
    console.print(f"{place}: {doubt.question}", soft_wrap=True)
    for number, option in enumerate(doubt.options, start=1):
        console.print(f"  {number}  {', '.join(option)}", soft_wrap=True)
    guessed = ",".join(str(number + 1) for number in doubt.taken)
    what = "Numbers, with commas between them" if doubt.several else "Number"
    while True:
        taken = chosen(str(typer.prompt(what, default=guessed)), len(doubt.options), several=doubt.several)
        if taken is not None:
            return taken
        console.print(f"Not understood: a number from 1 to {len(doubt.options)}, please.")


def chosen(reply: str, count: int, *, several: bool) -> tuple[int, ...] | None:
    """Numbers from 1 to `count` in a reply, as numbers from 0; None if it is anything else."""
    parts = [part.strip() for part in reply.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= count for part in parts) or (len(parts) > 1 and not several):
        return None
    return tuple(dict.fromkeys(int(part) - 1 for part in parts))
