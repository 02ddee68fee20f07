"""What the machine was, and what else it did, in words: report.md and the page say the same."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eval.latency.conditions import Conditions, threads_text


def machine_facts(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is known of the machine by name; what is not there (a GPU) is left out."""
    facts = ((key, _said(value)) for key, value in environment.items() if value is not None)
    return [(key, text) for key, text in facts if text]


def timing_lines(timing: Sequence[Conditions]) -> list[str]:
    """One a setting: `cpu, 1 thread: 10 s, in which other work kept 0.0 of 2 cores busy; load 1.3 before`."""
    return [
        f"{it.device}, {threads_text(it.threads)}: {it.seconds:.0f} s, in which other work kept "
        f"{it.others_busy:.1f} of {it.cores} cores busy{_load(it)}"
        for it in timing
    ]


def _load(found: Conditions) -> str:
    """A system may have none."""
    loads = ((found.load_before, "before"), (found.load_after, "after"))
    known = ", ".join(f"{load:.1f} {when}" for load, when in loads if load is not None)
    return f"; load {known}" if known else ""


def _said(value: object) -> str:
    """Lists and pairs on one line."""
    match value:
        case str():
            return value
        case list() | tuple():
            return ", ".join(map(_said, value))
        case dict():
            return ", ".join(f"{name} {_said(held)}" for name, held in value.items())
    return json.dumps(value)
