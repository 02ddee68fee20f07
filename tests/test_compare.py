"""Two reports side by side: intervals of unpaired differences worked by hand, verdicts, and the command."""

import json
from dataclasses import replace
from math import hypot, log

import numpy as np
import pytest
from reports import ENVIRONMENT, bare_report, full_report, on_cuda, regression_report, size, timed

from eval import Interval
from eval.intervals.unpaired import mover, mover_ratio, widening
from eval.latency.conditions import Conditions
from eval.report.compare import BETWEEN_RUNS, change_rows, compare_reports, summary_lines
from eval.report.report import Report, dump_report

NOTHING = Interval(None, None, None)


@pytest.fixture(scope="module")
def report():
    return on_cuda(full_report())


def moved(report, by, name="student"):
    """The same report, one candidate's macro F1 and its interval moved."""

    def change(it):
        quality = it.quality_by_set["main"]
        old = quality.macro_f1
        new = Interval(old.value + by, old.low + by, old.high + by)
        return replace(it, quality_by_set={"main": replace(quality, macro_f1=new)})

    return replace(report, candidates=tuple(change(it) if it.id == name else it for it in report.candidates))


def verdicts(changes, name="student"):
    (found,) = (it for it in changes.candidates if it.candidate == name)
    return {it.name: it.verdict for it in found.changes}


def test_mover_by_hand():
    found = mover(Interval(0.70, 0.60, 0.80), Interval(0.80, 0.75, 0.85))
    assert found.value == pytest.approx(0.10)
    assert found.low == pytest.approx(0.10 - hypot(0.05, 0.10))
    assert found.high == pytest.approx(0.10 + hypot(0.05, 0.10))
    lopsided = mover(Interval(0.50, 0.49, 0.60), Interval(0.90, 0.70, 0.91))
    assert lopsided.low == pytest.approx(0.40 - hypot(0.20, 0.10))  # after's lower end, before's upper one
    assert lopsided.high == pytest.approx(0.40 + hypot(0.01, 0.01))
    assert mover(lopsided, NOTHING) == NOTHING
    assert mover(Interval(0.5, None, None), lopsided) == Interval(pytest.approx(-0.1), None, None)


def test_mover_of_a_ratio_by_hand():
    found = mover_ratio(Interval(2.0, 1.0, 4.0), Interval(8.0, 4.0, 16.0))
    assert found.value == pytest.approx(4.0)
    assert log(found.high / found.value) == pytest.approx(hypot(log(2), log(2)))
    assert mover_ratio(Interval(0.0, 0.0, 1.0), Interval(1.0, 1.0, 1.0)) == NOTHING


def test_mover_covers_the_difference_of_two_shares():
    rng, rows = np.random.default_rng(0), 200

    def wald(share):
        half = 1.96 * np.sqrt(share * (1 - share) / rows)
        return Interval(share, share - half, share + half)

    drawn = rng.binomial(rows, (0.7, 0.8), size=(2000, 2)) / rows
    found = [mover(wald(one), wald(two)) for one, two in drawn]
    covered = np.mean([it.low <= 0.1 <= it.high for it in found])
    assert 0.93 < covered < 0.97


def test_a_report_beside_itself_is_the_same(report):
    found = compare_reports(report, report)
    assert not found.any_worse
    assert (found.added, found.removed) == ((), ())
    said = verdicts(found)
    unknown = {name for name, verdict in said.items() if verdict == "undecided"}
    assert unknown == {"main: label_f1[never]", "cold_start_ms"}  # undefined in both; how busy it was then
    assert set(said.values()) == {"same", "undecided"}
    assert not any("sha256" in note or "one report only" in note for note in found.notes)


def test_each_runtime_and_each_length_is_held_against_its_own(report):
    """The fp16 row is twice as fast as the fp32 row of the same setting."""
    said = {it.name: it for it in compare_reports(report, report).candidates[2].changes}
    assert said["speedup [cuda, 1 thread, batch 1, torch]"].before == 3.0
    half = said["speedup [cuda, 1 thread, batch 1, torch fp16]"]
    assert (half.before, half.after, half.difference.value) == (6.0, 6.0, 1.0)
    assert "speedup [cpu, 1 thread, batch 1]" in said  # one runtime alone is not named
    assert {f"speedup [cpu, 1 thread, batch 1, {tokens} tokens]" for tokens in (16, 64, 512)} <= set(said)


def test_what_one_report_alone_has_is_named(report):
    bare = full_report()
    found = compare_reports(bare, report)
    (note,) = (note for note in found.notes if "one report only" in note)
    assert note == (
        "measured in one report only, and not compared: times at cuda, 1 thread, batch 1, torch; "
        "times at cuda, 1 thread, batch 1, torch fp16; cold_start_ms; peak_memory_mb"
    )
    assert not any("cuda" in name or "peak" in name for name in verdicts(found))


def test_what_moved_beyond_noise_is_better_or_worse(report):
    assert verdicts(compare_reports(report, moved(report, 0.3)))["main: macro_f1"] == "better"
    worse = compare_reports(moved(report, 0.3), report)
    assert verdicts(worse)["main: macro_f1"] == "worse"
    assert worse.any_worse
    assert verdicts(worse, "tfidf")["main: macro_f1"] == "same"
    assert verdicts(compare_reports(report, moved(report, 0.001)))["main: macro_f1"] == "same"


def test_averages_are_corrected_for_their_number():
    """By hand: .08 is more than hypot(.05, .05) = .071; of four at once it must be 2.498 / 1.960 times that."""
    assert widening(1) == pytest.approx(1.0)
    assert widening(4) == pytest.approx(2.4977 / 1.9600, abs=1e-4)
    before, after = Interval(0.50, 0.45, 0.55), Interval(0.58, 0.53, 0.63)

    def averaged(macro_f1, others):
        (alone,) = bare_report().candidates
        names = ("micro_f1", "macro_roc_auc", "macro_average_precision")
        values = dict.fromkeys(names, others) | {"macro_f1": macro_f1, "labels": {}}
        quality = replace(alone.quality_by_set["main"], **values)
        return bare_report(candidates=(replace(alone, quality_by_set={"main": quality}),))

    # without labels none of the averages is over others in one report
    alone = compare_reports(averaged(before, NOTHING), averaged(after, NOTHING))
    assert verdicts(alone)["main: macro_f1"] == "better"
    of_four = compare_reports(averaged(before, before), averaged(after, before))
    assert verdicts(of_four)["main: macro_f1"] == "same"
    (found,) = (it.difference for it in of_four.candidates[0].changes if it.name == "main: macro_f1")
    assert found.low == pytest.approx(0.08 - hypot(0.05, 0.05) * 2.4977 / 1.9600, abs=1e-4)
    assert "intervals hold for all of a kind at once (Bonferroni): 4 averages" in of_four.notes


def test_averages_over_other_labels_have_no_verdict(report):
    def without(label, it):
        quality = it.quality_by_set["main"]
        labels = {name: found for name, found in quality.labels.items() if name != label}
        return replace(it, quality_by_set={"main": replace(quality, labels=labels)})

    fewer = replace(report, candidates=tuple(without("threat", it) for it in report.candidates))
    found = compare_reports(moved(report, 0.3), fewer)
    said = verdicts(found)
    assert {said[f"main: {name}"] for name in ("macro_f1", "micro_f1", "macro_roc_auc")} == {"undecided"}
    assert said["main: label_f1[toxic]"] == "same"
    assert not found.any_worse
    assert (
        "test set main: averages are not over the same labels (only in the first report threat): no verdict on those"
        in found.notes
    )


def test_a_macro_average_leaves_out_labels_without_positives_and_a_micro_one_does_not(report):
    def unseen(it):
        quality = it.quality_by_set["main"]
        never = replace(quality.labels["never"], f1=0.5, f1_low=0.4, f1_high=0.6)
        return replace(it, quality_by_set={"main": replace(quality, labels={**quality.labels, "never": never})})

    said = verdicts(compare_reports(report, replace(report, candidates=tuple(map(unseen, report.candidates)))))
    assert said["main: macro_f1"] == "undecided"
    assert said["main: micro_f1"] == said["main: macro_roc_auc"] == "same"


def test_what_is_known_of_the_rows_is_told(report):
    def rows_notes(**sha256s):
        return [it for it in compare_reports(report, replace(report, test_sha256s=sha256s)).notes if "row" in it][1:]

    assert rows_notes(main="0" * 64) == []
    (other,) = rows_notes(main="1" * 64)
    assert other.startswith(
        "test set main has as many rows in both reports, and other texts or labels; intervals allow"
    )
    (unknown,) = rows_notes()
    assert unknown.startswith("nothing says whether the rows of test set main are the same: a report names no sha256")
    fewer = full_report(count=239)
    assert any("has 240 rows in the first report and 239" in note for note in compare_reports(report, fewer).notes)


def test_digests_of_the_rows_are_kept_and_older_reports_have_none(report):
    written = json.loads(dump_report(report))
    assert written["test_sha256s"] == {"main": "0" * 64}
    assert Report.from_json(written) == report
    del written["test_sha256s"]
    assert Report.from_json(written).test_sha256s == {}


def test_a_run_says_on_which_rows_it_was_judged(tiny_run):
    written, lock = (json.loads((tiny_run / name).read_bytes()) for name in ("report.json", "recipe.lock"))
    sets = written["candidates"][0]["quality_by_set"]
    assert written["test_sha256s"] == {name: lock["data_sha256s"][f"test:{name}"] for name in sets}


def test_a_classifier_beside_a_regression_is_told(report):
    found = compare_reports(report, regression_report())
    assert "one report is of classifiers and the other of regressions: their quality does not compare" in found.notes
    assert {change.what for it in found.candidates for change in it.changes} == {"size", "latency"}


def test_of_many_labels_each_has_to_move_further_than_of_one():
    """Bonferroni: 40 labels of which one moved by what is just beyond its own interval."""
    before, after = Interval(0.5, 0.4, 0.6), Interval(0.65, 0.55, 0.75)
    assert mover(before, after).low > 0
    one = bare_report()
    quality = one.candidates[0].quality_by_set["main"]
    label = quality.labels["toxic"]

    def with_labels(count, f1):
        labels = {str(place): replace(label, f1=0.5, f1_low=0.4, f1_high=0.6) for place in range(count)}
        labels["0"] = replace(label, f1=f1.value, f1_low=f1.low, f1_high=f1.high)
        return bare_report(
            candidates=(replace(one.candidates[0], quality_by_set={"main": replace(quality, labels=labels)}),)
        )

    for count, said in ((1, "better"), (40, "same")):
        found = compare_reports(with_labels(count, before), with_labels(count, after))
        assert verdicts(found)["main: label_f1[0]"] == said


def test_sizes_are_exact_and_a_hundredth_is_no_change():
    def sized(scale):
        return bare_report(candidates=(replace(bare_report().candidates[0], footprint=size(scale)),))

    for scale, said in ((0.5, "better"), (1.005, "same"), (1.02, "worse")):
        assert verdicts(compare_reports(sized(1.0), sized(scale)))["size_bytes"] == said


def test_memory_is_a_size_of_one_machine_and_a_cold_start_has_no_verdict(report):
    def changed(it):
        return replace(it, peak_memory_mb=99.0, cold_start_ms=Interval(4000.0, 3900.0, 4100.0))

    slower = replace(report, candidates=tuple(map(changed, report.candidates)))
    found = compare_reports(report, slower)
    assert verdicts(found)["peak_memory_mb"] == "worse"
    assert verdicts(found)["cold_start_ms"] == "undecided"
    (row,) = (row for row in change_rows(found.candidates[0], every=True)[1] if row[0] == "cold_start_ms")
    assert row == ("cold_start_ms", "400", "4000", "–", "no verdict")
    assert any(note.startswith("cold starts: no verdict") for note in found.notes)
    elsewhere = replace(slower, environment={**ENVIRONMENT, "cpu": "other"})
    assert verdicts(compare_reports(report, elsewhere))["peak_memory_mb"] == "undecided"


def test_a_speedup_has_to_change_by_more_than_runs_of_the_same_files_differ():
    """By hand: each interval is 2 % to either side, so that the ratio's is .0283 of a logarithm down, and ln 1.15 is
    .1398. 1.175 reaches down to .1613 - .0283, 1.2 to .1823 - .0283; of 28 at once that is 3.124 / 1.960 times as far.
    """
    assert BETWEEN_RUNS == 1.15

    def with_speedups(speedup, count):
        teacher, _, student, _ = full_report().candidates
        rows = (timed(1.0, speedup), *(timed(1.0, 4.0, batch_size=size) for size in range(2, count + 1)))
        changed = {"latency": rows, "length_latency": ()}
        candidates = (replace(teacher, latency=(), length_latency=()), replace(student, **changed))
        return replace(full_report(), candidates=candidates, timing=(meanwhile(0.0),))

    def found(speedup, count=1):
        changes = compare_reports(with_speedups(4.0, count), with_speedups(speedup, count)).candidates[1].changes
        return next(it for it in changes if it.name == "speedup [cpu, 1 thread, batch 1]")

    assert log(found(4.8).difference.low) == pytest.approx(log(1.2) - hypot(log(1 / 0.98), log(1.02)), abs=1e-4)
    assert [found(it).verdict for it in (4.5, 4.7, 4.8)] == ["same", "same", "better"]
    assert [found(it).verdict for it in (4 / 1.125, 4 / 1.175, 4 / 1.2)] == ["same", "same", "worse"]
    assert found(4.8, 28).verdict == "same"
    assert log(found(4.8, 28).difference.low) == pytest.approx(log(1.2) - 0.0283 * 3.1237 / 1.96, abs=1e-3)


def faster(report, speedup):
    rows = (timed(1.0, speedup),)
    teacher, *others = report.candidates
    others = [replace(it, latency=rows) for it in others]
    return replace(
        report, candidates=(replace(teacher, latency=(timed(10.0, 1.0),)), *others), timing=(meanwhile(0.0),)
    )


def meanwhile(others_busy):
    return Conditions("cpu", 1, "Xeon", (), 2, 1.0, 1.0, others_busy, 60.0)


def test_latency_has_a_verdict_on_one_quiet_machine_and_one_teacher_only(report):
    slow, fast, name = faster(report, 4.0), faster(report, 5.0), "speedup [cpu, 1 thread, batch 1]"
    assert verdicts(compare_reports(slow, fast))[name] == "better"
    assert verdicts(compare_reports(fast, slow))[name] == "worse"
    assert verdicts(compare_reports(slow, faster(report, 4.05)))[name] == "same"
    elsewhere = replace(fast, environment={**ENVIRONMENT, "cpu": "other"})
    found = compare_reports(slow, elsewhere)
    assert verdicts(found)[name] == "undecided"
    assert any("machines differ" in note for note in found.notes)
    bigger = (replace(fast.candidates[0], footprint=size(3.0)), *fast.candidates[1:])
    found = compare_reports(slow, replace(fast, candidates=bigger))
    assert verdicts(found)[name] == "undecided"
    assert any("teachers differ" in note for note in found.notes)
    for unknown in ((), (meanwhile(1.5),)):
        found = compare_reports(slow, replace(fast, timing=unknown))
        assert verdicts(found)[name] == "undecided"
        assert any("kept the machine busy" in note for note in found.notes)
    nameless = replace(slow, environment={})
    assert verdicts(compare_reports(nameless, nameless))[name] == "undecided"


def test_candidates_and_test_sets_of_one_report_only_are_named(report):
    fewer = replace(report, candidates=report.candidates[:2])
    assert compare_reports(report, fewer).removed == ("student", "student-int8")
    assert compare_reports(fewer, report).added == ("student", "student-int8")
    other = bare_report()
    renamed = replace(other.candidates[0], quality_by_set={"else": other.candidates[0].quality_by_set["main"]})
    found = compare_reports(other, bare_report(candidates=(renamed,), first_set="else"))
    assert "test set else is in one report only: not compared" in found.notes
    assert {change.what for change in found.candidates[0].changes} == {"size"}


def test_a_smaller_error_is_better():
    worse, better = regression_report(seed=0), regression_report(seed=0)
    teacher = better.candidates[0]
    better = replace(better, candidates=(better.candidates[0], replace(teacher, id="student")))
    said = verdicts(compare_reports(worse, better))
    assert said["main: macro_rmse"] == said["main: macro_r2"] == "better"
    assert said["main: rmse[stars]"] == "better"
    assert verdicts(compare_reports(better, worse))["main: macro_mae"] == "worse"


def test_what_did_not_change_is_counted_and_listed_where_all_is_asked_for(report):
    found = compare_reports(report, report)
    headings, rows = change_rows(found.candidates[2])
    assert headings[0] == "what"
    assert rows == []
    changes = [it for of in found.candidates for it in of.changes]
    same = sum(it.verdict == "same" for it in changes)
    quality, labels, sizes = 4 * 4, 2 * 4, 4 * 4  # of 4 candidates: averages, labels that have positives, sizes
    assert summary_lines(found) == [
        "Nothing is better or worse.",
        f"Within noise, or of the same size: {same} measures of 4 candidates (averages {quality}, single labels "
        f"{labels}, sizes {sizes}, speeds {same - quality - labels - sizes}).",
        "No verdict, as the notes say or for want of an interval: 8 measures of 4 candidates (single labels 4, speeds "
        "4).",
    ]
    moved_once = compare_reports(report, moved(report, 0.3))
    (row,) = change_rows(moved_once.candidates[2])[1]
    assert (row[0], row[-1]) == ("main: macro_f1", "better")
    assert summary_lines(moved_once)[0] == "1 better and 0 worse."
    every = change_rows(found.candidates[2], every=True)[1]
    assert len(every) == len(found.candidates[2].changes)
    by_name = {row[0]: row for row in every}
    assert by_name["main: label_f1[toxic]"][-1] == "same within noise"
    assert by_name["size_bytes"][1:] == ("30,000,000", "30,000,000", "+0.0 %", "same")
    assert by_name["main: label_f1[never]"][1:] == ("undefined", "undefined", "–", "no verdict")


# ---------------------------------------------------------------------------------------------------- the command


def write(report, folder):
    folder.mkdir()
    (folder / "report.json").write_text(dump_report(report), encoding="utf-8")
    return folder


def test_the_command_says_what_is_worse_and_fails_only_if_asked(report, tmp_path, command):
    good, bad = write(moved(report, 0.3), tmp_path / "good"), write(report, tmp_path / "bad")
    ended = command("compare", good, bad / "report.json")
    assert ended.code == 0, ended.err
    assert "note: unpaired" in ended.out
    line = next(line for line in ended.out.splitlines() if "macro_f1" in line and "worse" in line)
    assert "-0.300" in line
    assert command("compare", good, bad, "--fail-if-worse").code == 3
    fine = command("compare", bad, good, "--fail-if-worse")
    assert fine.code == 0
    assert "1 better and 0 worse." in fine.out
    assert not any("same within noise" in it.out for it in (ended, fine))
    assert "same within noise" in command("compare", bad, good, "--all").out


def test_the_command_writes_json(report, tmp_path, command):
    good, bad = write(moved(report, 0.3), tmp_path / "good"), write(report, tmp_path / "bad")
    ended = command("compare", good, bad, "--json", "--fail-if-worse")
    assert ended.code == 3
    found = json.loads(ended.out)
    assert [it["candidate"] for it in found["candidates"]] == ["teacher", "tfidf", "student", "student-int8"]
    student = found["candidates"][2]["changes"]
    assert next(it["verdict"] for it in student if it["name"] == "main: macro_f1") == "worse"


def test_what_is_no_report_is_refused_in_one_paragraph(tmp_path, command):
    (tmp_path / "no.json").write_text("{}")
    ended = command("compare", tmp_path / "no.json", tmp_path / "no.json")
    assert ended.code == 2
    assert "schema_version None" in ended.err
    missing = command("compare", tmp_path / "none.json", tmp_path / "none.json")
    assert missing.code == 2
    assert "none.json does not exist" in missing.err
    assert "report.json does not exist" in command("compare", tmp_path, tmp_path).err


def test_runs_with_nothing_in_common_say_so(report, tmp_path, command):
    one = write(replace(report, candidates=report.candidates[:2]), tmp_path / "one")
    two = write(replace(report, candidates=report.candidates[2:], teacher_id=None), tmp_path / "two")
    ended = command("compare", one, two)
    assert (
        "Nothing was compared: no candidate is in both reports (the first has teacher, tfidf, the second" in ended.out
    )
    assert "added: student, student-int8" in ended.out
    assert "removed: teacher, tfidf" in ended.out
    assert ended.code == 0
    gate = command("compare", one, two, "--fail-if-worse")
    assert gate.code == 2
    assert "no quality was judged: no candidate is in both reports" in gate.err
    assert "whose stages have the same ids" in gate.err


def named(report, test_set):
    """The same report, its one test set called so."""

    def change(it):
        return replace(
            it, **{name: {test_set: getattr(it, name)["main"]} for name in ("quality_by_set", "details_by_set")}
        )

    return replace(report, candidates=tuple(map(change, report.candidates)), first_set=test_set)


def test_candidates_whose_quality_does_not_compare_are_no_success(report, tmp_path, command):
    """Their sizes do, and are the same."""
    one, two = write(report, tmp_path / "one"), write(named(report, "chat"), tmp_path / "two")
    ended = command("compare", one, two)
    assert ended.code == 0
    said = "no test set is in both reports (the first has main, the second chat). Give the same rows one name"
    assert f"No quality was compared: {said}" in ended.out
    assert "Nothing is better or worse" not in ended.out
    gate = command("compare", one, two, "--fail-if-worse", "--json")
    assert gate.code == 2
    assert said in " ".join(gate.err.split())
    assert json.loads(gate.out)["uncompared"].startswith(said)


def test_why_no_quality_compares(report):
    assert compare_reports(report, report).uncompared == ""
    numbers = regression_report()
    assert "Give two reports of one task" in compare_reports(report, numbers).uncompared
    others = replace(report, candidates=full_report(labels=("rude", "odd", "never")).candidates)
    assert "Give two reports with the same labels" in compare_reports(report, others).uncompared
