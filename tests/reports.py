"""Reports for tests of what is made of them: from random answers to random rows, scored by the judge itself."""

from dataclasses import replace

import numpy as np

from eval import Footprint, Interval, LabelledTexts, Report
from eval.details.slices import row_sets
from eval.evaluator import judge, score_details, score_quality
from eval.goals.verdicts import Verdict
from eval.latency.conditions import Conditions
from eval.latency.rounds import LatencyRow
from eval.measurement import Measurement
from eval.values import score_values

OFFENCE = "you <b>rotten</b> & \"vile\" 'thing'"
ENVIRONMENT = {"cpu": "Xeon", "cores": 2, "system": "Linux x86_64", "libraries": {"numpy": "2"}}


def rows(count, labels, seed=0):
    """A test set whose last label never holds, unless it is the only one."""
    rng = np.random.default_rng(seed)
    shares = np.append(np.linspace(0.08, 0.3, len(labels) - 1), 0.0) if len(labels) > 1 else [0.3]
    targets = (rng.random((count, len(labels))) < shares).astype(np.int8)
    texts = tuple(f"{OFFENCE} {number} " + "word " * (number % 7) for number in range(count))
    return LabelledTexts(texts, tuple(labels), targets, {"language": tuple(("de", "en")[n % 2] for n in range(count))})


def timed(p50_ms, speedup=None, threads=1, batch_size=1, tokens=None):
    near = Interval(speedup, speedup * 0.98, speedup * 1.02) if speedup else None
    texts_per_second = 1000 * batch_size / p50_ms
    row = LatencyRow("cpu", "onnxruntime", threads, batch_size, 250, p50_ms, p50_ms * 1.5, None, texts_per_second, near)
    return replace(row, tokens=tokens)


def size(scale=1.0, zeros=0.0):
    return Footprint(int(9e7 * scale), int(8e7 * scale), int(6e7 * scale), int(2e7 * scale), zeros)


def classifiers(ids=("teacher", "tfidf", "student", "student-int8"), labels=("toxic", "threat", "never"), count=240):
    """Every candidate a little smaller, faster and more wrong than the one before it, all details of each."""
    test_set = rows(count, labels)
    rng, thresholds = np.random.default_rng(1), np.full(len(labels), 0.5, np.float32)
    sets, judged = row_sets(test_set), {}
    for place, name in enumerate(ids):
        noise = rng.random((count, len(labels)))
        answers = np.clip(0.5 * test_set.targets + (0.55 + 0.02 * place) * noise, 0, 1).astype(np.float32)
        judged[name] = judge(answers, test_set, thresholds, resamples=50, seed=1)
    for place, name in enumerate(ids):
        others = {it: judged[it] for it in ids[:2] if it != name}
        taught = {"teacher": ids[0], "sets": sets, "disagreements": 5}
        details = score_details(judged[name], others, test_set, thresholds=thresholds, **taught)
        ms = 20 / (place + 1)
        yield Measurement(
            name,
            "tfidf" if place == 1 else "distill",
            "onnx",
            size(1 / (place + 1), 0.1 * place),
            {"main": score_quality(judged[name], test_set, thresholds)},
            tuple(timed(ms * b**0.8, place + 1.0, threads=t, batch_size=b) for t in (1, 2) for b in (1, 32)),
            {"main": details},
            length_latency=tuple(timed(ms * tokens / 16, tokens=tokens) for tokens in (16, 64, 512)),
        )


def on_cuda(report):
    """The same report with times on CUDA too, where each torch model has a row in fp32 and one in fp16; all quiet.

    Each candidate has a cold start and its memory as well.
    """

    def timed_there(place, it):
        rows = [replace(timed(2 / (place + 1), place + 1.0), device="cuda", runtime="torch")]
        rows.append(replace(timed(1 / (place + 1), 2 * (place + 1.0)), device="cuda", runtime="torch fp16"))
        start = Interval(400.0, 380.0, 450.0)
        near = Interval(place + 1.0, place + 0.95, place + 1.05)
        lengths = tuple(replace(row, speedup_vs_teacher=near) for row in it.length_latency)
        times = {"latency": (*it.latency, *rows), "length_latency": lengths}
        return replace(it, **times, cold_start_ms=start, peak_memory_mb=90.0)

    settings = (("cpu", 1), ("cpu", 2), ("cuda", 1))
    timing = tuple(Conditions(device, threads, "Xeon", (), 2, 1.0, 1.0, 0.0, 60.0) for device, threads in settings)
    candidates = tuple(timed_there(place, it) for place, it in enumerate(report.candidates))
    return replace(report, candidates=candidates, timing=timing, test_sha256s={"main": "0" * 64})


def full_report(ids=("teacher", "tfidf", "student", "student-int8"), **changes):
    """A report in which nothing is missing. changes: of `classifiers`' arguments."""
    candidates = tuple(classifiers(ids, **changes))
    stages = [
        {"id": ids[0], "type": "finetune", "epochs": 3},
        {"id": ids[2], "type": "distill", "teacher": ids[0], "epochs": 2, "student": {"layers": 1, "dropout": 0.0}},
        *({"id": name, "type": "quantize", "from": ids[2], "scheme": "int8"} for name in ids[3:]),
    ]
    states = ("met", "missed", "undecided")
    return Report(
        name="whole",
        recipe={"stages": stages, "task": {"type": "multi_label"}},
        environment=ENVIRONMENT,
        candidates=candidates,
        teacher_id=ids[0],
        first_set="main",
        notes=("a note",),
        command="compress run whole",
        verdicts=tuple(verdict(ids[-1], state) for state in states),
    )


def verdict(candidate, state):
    found = {"met": 0.02, "missed": -0.05, "undecided": -0.01}[state]
    measured = Interval(found, found - 0.02, found + 0.02)
    goal = {"goal": "macro_f1 >= teacher - 0.01", "metric": "macro_f1", "relation": ">=", "bound": -0.01}
    return Verdict(
        candidate=candidate, state=state, measured=measured, slack=found + 0.01, reason="why", against="teacher", **goal
    )


def bare_report(**changes):
    """One classifier and nothing else known of it: no time, no details, no recipe."""
    (measured,) = (it for it in classifiers(labels=("toxic", "never")) if it.id == "student")
    alone = replace(measured, latency=(), length_latency=(), details_by_set={})
    facts = {"name": "bare", "recipe": {}, "environment": {}, "candidates": (alone,), "teacher_id": None}
    return Report(**facts | {"first_set": "main", "notes": ()} | changes)


def regression_report(targets=("stars", "height"), seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(3, 1, (80, len(targets))).astype(np.float32)
    test_set = LabelledTexts(tuple(map(str, range(80))), tuple(targets), truth)
    found = []
    for place, name in enumerate(("teacher", "student")):
        values = truth + rng.normal(0, 0.4 + 0.3 * place, truth.shape).astype(np.float32)
        quality = score_values(values, test_set, resamples=30, seed=1)
        found.append(
            Measurement(name, "distill", "onnx", size(1 / (place + 1)), {"main": quality}, (timed(4 / (place + 1)),))
        )
    return Report("stars", {"stages": []}, ENVIRONMENT, tuple(found), "teacher", "main", ())
