"""Goals from the command line: exit codes, what is left behind, and that changed goals cost nothing."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
MET = "size_mb <= 100"
MISSED = "size_mb <= 0.0001"
UNDECIDED = "p95_ms <= 100"  # of 5 rounds no 95th percentile has an interval
HEAVY = "('torch', 'transformers', 'sklearn', 'onnxruntime', 'datasets')"


@pytest.fixture
def done(tmp_path: Path, tiny_run: Path) -> Path:
    """A copy of the finished run, the test's own: the folder, with recipe.yaml beside it."""
    shutil.copytree(tiny_run.parent, tmp_path / "copy")
    return tmp_path / "copy" / "out"


@pytest.fixture
def run(done: Path, command: Command) -> Command:
    """run(goals, *flags): the finished run again, with these goals."""
    return lambda goals, *flags: command(
        "run", done.parent / "recipe.yaml", "--out", done, "--set", f"goals={json.dumps(goals)}", *flags
    )


def written(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of change and content of what was measured and of the artifacts, without the cards: they tell of both."""
    found = [path for part in ("artifacts", "cache/measurements") for path in (folder / part).rglob("*")]
    files = [path for path in found if path.is_file() and path.name != "README.md"]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def states(folder: Path) -> list[str]:
    return [verdict["state"] for verdict in json.loads((folder / "report.json").read_bytes())["verdicts"]]


@pytest.mark.parametrize(
    ("goals", "flags", "code"),
    [
        ([MET, UNDECIDED], [], 0),
        ([MET, UNDECIDED], ["--strict"], 3),
        ({"tfidf": [MISSED], "student": MET}, [], 3),
    ],
)
def test_exit_codes(run: Command, goals: object, flags: list[str], code: int) -> None:
    ended = run(goals, *flags)
    assert ended.code == code, ended.err
    assert "error" not in ended.err


def test_strict_without_goals_says_that_it_judges_nothing(done: Path, command: Command) -> None:
    ended = command("run", done.parent / "recipe.yaml", "--out", done, "--strict")
    assert (ended.code, states(done)) == (0, [])
    assert "note: --strict asks for goals, and the recipe has none" in ended.err


def test_goals_are_judged_on_what_is_kept_and_the_work_is_done_all_the_same(run: Command, done: Path) -> None:
    before = written(done)
    ended = run([MET, MISSED, UNDECIDED, "label_f1[*] >= teacher - 1", "macro_f1 >= tfidf - 1"])
    assert ended.code == 3
    assert "all stages are cached: nothing to run; measurements are cached." in ended.out
    assert written(done) == before
    report = json.loads((done / "report.json").read_bytes())
    labels = report["candidates"][-1]["quality"]["labels"].values()
    of_labels = ["met" if label["support"] >= 10 else "undecided" for label in labels]
    assert states(done) == ["met", "missed", "undecided", *of_labels, "met"]
    assert f"10 goals: {2 + of_labels.count('met')} met, 1 missed, " in ended.out
    (closest,) = [line for line in ended.out.splitlines() if line.startswith("Closest miss:")]
    assert re.match(r"Closest miss: student-int8, size_mb <= 0.0001, by \d", closest)
    assert re.search(r"size_mb <= 0.0001 +│ student-int8 +│ missed ", ended.out)
    assert "| size_mb <= 100 | student-int8 | met |" in (done / "report.md").read_text(encoding="utf-8")
    again = run([MET, MISSED, UNDECIDED, "label_f1[*] >= teacher - 1", "macro_f1 >= tfidf - 1"])
    assert (again.code, again.out) == (3, ended.out)


def test_a_goal_against_any_other_stage_asks_no_model_again(run: Command, done: Path) -> None:
    answers = {name: kept for name, kept in written(done).items() if Path(name).name[:8] != "quality-"}
    assert run({"student-int8": ["macro_f1 >= student-onnx - 1", "label_roc_auc[threat] >= pruned - 1"]}).code == 0
    assert states(done) == ["met", "met"]
    assert {name: kept for name, kept in written(done).items() if Path(name).name[:8] != "quality-"} == answers
    report = json.loads((done / "report.json").read_bytes())
    against = {it["id"]: list(it["details_by_set"]["held_out"]["against"]) for it in report["candidates"]}
    assert against["student-int8"] == ["tfidf", "teacher", "student-onnx", "pruned"]
    assert against["student-fp16"] == ["tfidf", "teacher", "student-onnx"]  # which it was made of


def test_with_changed_goals_nothing_heavy_is_imported(done: Path) -> None:
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print('heavy:', [name for name in {HEAVY} if name in sys.modules]))\n"
        "from compress.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "run", str(done.parent / "recipe.yaml"), "--out", str(done)]
    for _ in range(2):  # with new goals, and with the same again
        ended = subprocess.run([*command, "--set", f'goals=["{MISSED}"]'], capture_output=True, text=True, check=False)
        assert ended.returncode == 3, ended.stderr
        assert "heavy: []" in ended.stdout


def test_a_test_set_that_the_data_lack_is_told_before_anything_runs(run: Command, done: Path) -> None:
    before = written(done)
    ended = run(["macro_f1 >= 0.1 on held_in"], "--fresh")
    assert ended.code == 2
    assert "there is no test set held_in; did you mean held_out?; test sets: held_out" in ended.err
    assert written(done) == before


def test_check_tells_of_a_wrong_goal(done: Path, command: Command) -> None:
    ended = command("check", done.parent / "recipe.yaml", "--set", "goals=[macro_f1 >= tecaher - 0.01]")
    assert ended.code == 2
    assert "goals.0: there is no stage tecaher; did you mean teacher?" in ended.err
