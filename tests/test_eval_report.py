import json
from dataclasses import asdict, replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example as given_example
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from eval import Candidate, Footprint, Interval, LabelledTexts, Report, dump_report, load_report, measure_quality
from eval.contract import check_probabilities
from eval.errors import InvalidInputError
from eval.evaluator import CHUNK, judge, score_quality
from eval.latency.rounds import LatencyRow
from eval.measurement import Measurement, SetQuality
from eval.metrics import f1, macro, micro, roc_auc
from eval.plain import dump, read
from eval.report.comparison import headline_setting, interval_text, significant
from eval.report.markdown import comparison_rows, render_markdown
from eval.report.picture import draw_picture
from eval.report.table import bold, code, markdown_table, plain

LABELS = ("toxic", "threat", "never|seen")
SPEEDUP = Interval(4.0, 3.9, 4.2)
FOOTPRINT = Footprint(90_900_000, 80_000_000, 45_450_000, 22_700_000, 0.5)


class Fixed:
    """A predictor that looks its answers up."""

    def __init__(self, probabilities, labels=LABELS):
        self.labels = labels
        self.sizes = []
        self._answers = {str(row): answer for row, answer in enumerate(probabilities)}

    def predict_proba(self, texts):
        self.sizes.append(len(texts))
        return np.array([self._answers[text] for text in texts], np.float32)


def example(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    targets = (rng.random((rows, 3)) < (0.3, 0.05, 0)).astype(np.int8)
    probabilities = np.clip(0.5 * targets + 0.6 * rng.random((rows, 3)), 0, 1).astype(np.float32)
    return LabelledTexts(tuple(map(str, range(rows))), LABELS, targets), probabilities


def candidate(probabilities, thresholds=(0.5, 0.4, 0.6), labels=LABELS):
    at = None if thresholds is None else np.array(thresholds, np.float32)
    predictor = Fixed(probabilities, labels)
    return Candidate("student-int8", "quantize", "onnx", "onnxruntime", "cpu", 1, FOOTPRINT, at, predictor)


def quality(seed=0):
    test_set, probabilities = example(seed=seed)
    return measure_quality(candidate(probabilities), test_set, resamples=50, seed=1)


def latency(p50_ms=2.0, device="cpu", threads=1, batch_size=1, samples=300, speedup=SPEEDUP):
    p99 = p50_ms * 2 if samples >= 200 else None
    return LatencyRow(device, "onnxruntime", threads, batch_size, samples, p50_ms, p50_ms * 1.5, p99, 500.0, speedup)


def report(latencies=None, ids=("teacher", "tfidf", "student"), **changes):
    stages = {"teacher": "finetune", "tfidf": "tfidf"}
    rows = [(latency(),), (latency(0.5),), (latency(1.0), latency(20, threads=2, batch_size=32, samples=50))]
    measured = tuple(
        Measurement(name, stages.get(name, "distill"), "onnx", FOOTPRINT, {"main": quality(i), "more": quality(9)}, it)
        for i, (name, it) in enumerate(zip(ids, latencies or rows, strict=False))
    )
    facts = {
        "recipe": {"seed": 13},
        "environment": {"cpu": "Xeon", "versions": {"numpy": "2"}},
        "notes": ("synthetic",),
        "command": "compress run tiny --set a=1",
    }
    return Report(
        **{"name": "tiny", "candidates": measured, "teacher_id": "teacher", "first_set": "main"} | facts | changes
    )


def test_quality_is_what_the_metrics_say():
    test_set, probabilities = example()
    measured, predicting = [], candidate(probabilities)
    found = measure_quality(
        predicting, test_set, resamples=50, seed=0, progress=lambda done, total: measured.append((done, total))
    )
    decisions = (probabilities >= np.array([0.5, 0.4, 0.6], np.float32)).astype(np.int8)
    assert found.rows == 300
    assert found.macro_f1.value == macro(f1, test_set.targets, decisions)
    assert found.micro_f1.value == micro(f1, test_set.targets, decisions)
    assert found.macro_roc_auc.value == macro(roc_auc, test_set.targets, probabilities)
    assert found.labels["toxic"].f1 == f1(test_set.targets[:, 0], decisions[:, 0])
    assert found.labels["toxic"].f1_at_half == found.labels["toxic"].f1
    assert found.labels["threat"].f1_at_half == f1(test_set.targets[:, 1], (probabilities[:, 1] >= 0.5).astype(np.int8))
    assert found.labels["threat"].f1_low <= found.labels["threat"].f1 <= found.labels["threat"].f1_high
    assert found.labels["threat"].support == test_set.targets[:, 1].sum()
    assert found.labels["threat"].threshold == float(np.float32(0.4))
    assert measured == [(CHUNK, 300), (300, 300)]
    assert predicting.predictor.sizes == [CHUNK, 300 - CHUNK]


def test_undefined_stays_null_all_the_way_to_json_and_is_spelled_out_in_markdown():
    never = dump(quality())["labels"]["never|seen"]
    numbers = {key: value for key, value in never.items() if key not in ("support", "threshold")}
    assert set(numbers.values()) == {None}
    assert never["support"] == 0
    line = next(line for line in render_markdown(report(), None).splitlines() if line.startswith("| never"))
    assert line == "| never\\|seen | 0 | undefined | undefined | undefined |"


def test_one_row_and_all_zero_predictions():
    one = LabelledTexts(("0",), ("a", "b"), np.array([[1, 0]], np.int8))
    found = measure_quality(candidate(np.zeros((1, 2)), (0.5, 0.5), ("a", "b")), one, resamples=5, seed=0)
    assert (found.macro_f1.value, found.macro_f1.low) == (0.0, 0.0)
    assert found.macro_f1.high > 0.8  # one row says next to nothing
    assert found.macro_roc_auc == found.macro_precision == found.micro_precision == Interval(None, None, None)
    assert (found.labels["a"].precision, found.labels["a"].recall, found.labels["b"].f1) == (None, 0.0, None)
    assert json.loads(json.dumps(dump(found), allow_nan=False)) == dump(found)


def test_single_label_decides_by_argmax_and_has_no_thresholds():
    targets = np.array([[1, 0], [0, 1]], np.int8)
    test_set = LabelledTexts(("0", "1"), ("a", "b"), targets)
    judged = judge(np.array([[0.4, 0.35], [0.3, 0.31]], np.float32), test_set, None, resamples=5, seed=0)
    found = score_quality(judged, test_set, None)
    assert found.macro_f1.value == 1.0
    assert found.macro_f1_at_half is None
    assert (found.labels["a"].threshold, found.labels["a"].f1_at_half) == (None, None)


def test_a_nan_names_the_candidate_and_the_row_of_the_whole_set():
    test_set, probabilities = example()
    probabilities[270, 1] = np.nan
    with pytest.raises(InvalidInputError, match=r"student-int8: .*nan for row 270, label number 1"):
        measure_quality(candidate(probabilities), test_set, resamples=5, seed=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_threshold_is_finite_or_names_the_candidate_and_the_label(bad):
    with pytest.raises(InvalidInputError, match=rf"student-int8: .* label number 1 is {bad}; a finite number"):
        candidate(example()[1], (0.5, bad, 0.6))


def test_thresholds_may_be_a_list_of_numbers():
    test_set, probabilities = example()
    listed = replace(candidate(probabilities), thresholds=[0.5, 0.4, 0.6])
    found = measure_quality(listed, test_set, resamples=50, seed=1)
    assert found == measure_quality(candidate(probabilities), test_set, resamples=50, seed=1)
    with pytest.raises(InvalidInputError, match=r"student-int8: thresholds are no numbers: .*'high'; float32 \(labels"):
        replace(listed, thresholds=["high", "low", "low"])
    with pytest.raises(InvalidInputError, match=r"student-int8: \(\) thresholds for 3 labels; give one for each"):
        measure_quality(replace(listed, thresholds=0.5), test_set, resamples=5, seed=0)


class OnAGpu:
    """What NumPy cannot read, as a tensor on a GPU."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize(
    ("answer", "says"), [([["toxic"] * 3] * 2, "'toxic'"), ([[0.5] * 3, [0.5]], "shape"), (OnAGpu(), "cuda:0")]
)
def test_an_answer_that_is_no_numbers_names_the_candidate_and_the_rows(answer, says):
    said = rf"student-int8: predict_proba gave no numbers for rows 256 to 257: .*{says}.*; float32 \(texts, labels\)"
    with pytest.raises(InvalidInputError, match=said):
        check_probabilities(answer, rows=2, labels=3, candidate="student-int8", first_row=256)


def test_what_does_not_fit_is_refused():
    test_set, probabilities = example()
    with pytest.raises(InvalidInputError, match="student-int8: predicts"):
        measure_quality(candidate(probabilities, labels=LABELS[::-1]), test_set, resamples=5, seed=0)
    with pytest.raises(InvalidInputError, match="thresholds for 3 labels"):
        measure_quality(candidate(probabilities, (0.5,)), test_set, resamples=5, seed=0)
    empty = LabelledTexts((), LABELS, np.zeros((0, 3), np.int8))
    with pytest.raises(InvalidInputError, match="no rows"):
        measure_quality(candidate(probabilities), empty, resamples=5, seed=0)


def test_report_json_has_the_promised_shape():
    document = report().to_json()
    assert document["schema_version"] == 1
    assert document["teacher"] == "teacher"
    assert set(document) >= {
        "schema_version", "name", "command", "recipe", "environment", "notes", "teacher", "candidates",
    }  # fmt: skip
    first = document["candidates"][2]
    sizes = {"size_bytes", "model_bytes", "size_gzip_bytes", "parameters", "zeros_share"}
    assert set(first) >= {"id", "stage", "format", *sizes, "quality", "quality_by_set", "latency"}
    assert first["quality"] == first["quality_by_set"]["main"]
    averages = {f"{kind}_{name}" for kind in ("macro", "micro") for name in ("f1", "precision", "recall", "roc_auc")}
    assert averages | {"rows", "labels", "macro_average_precision"} <= set(first["quality"])
    assert set(first["quality"]["macro_f1"]) == {"value", "low", "high"}
    label = {"precision", "recall", "f1", "f1_at_half", "roc_auc", "support", "threshold"}
    assert label <= set(first["quality"]["labels"]["toxic"])
    timing = {"device", "runtime", "threads", "batch_size", "p50_ms", "p95_ms", "p99_ms", "texts_per_second"}
    assert timing | {"speedup_vs_teacher"} <= set(first["latency"][0])
    assert set(first["latency"][0]["speedup_vs_teacher"]) == {"value", "low", "high"}


def test_the_first_test_set_comes_first_whatever_the_order_it_was_measured_in():
    document = report(first_set="more").to_json()
    assert list(document["candidates"][0]["quality_by_set"]) == ["more", "main"]
    assert document["candidates"][0]["quality"] == document["candidates"][0]["quality_by_set"]["more"]
    assert Report.from_json(document).first_set == "more"


def test_report_round_trip_through_a_file_is_exact(tmp_path):
    written = report(ids=("teacher", "tfidf", "ünï"))
    path = tmp_path / "report.json"
    path.write_text(dump_report(written), encoding="utf-8")
    assert load_report(path) == written
    later = written.to_json()
    later["candidates"][0]["quality_by_set"]["main"]["added_later"] = 1
    later["candidates"][0]["quality_by_set"]["main"]["labels"]["toxic"]["added_later"] = 1
    assert Report.from_json(later) == written
    assert read(SetQuality, dump(quality())) == quality()


def test_positives_of_validation_come_back_from_report_json_and_an_older_one_has_none():
    document = report(validation_positives={"toxic": 7, "threat": 0}).to_json()
    assert Report.from_json(document).validation_positives == {"toxic": 7, "threat": 0}
    del document["validation_positives"]
    assert Report.from_json(document).validation_positives == {}


def test_nan_never_reaches_json():
    spoiled = report(environment={"load": float("nan")})
    with pytest.raises(ValueError, match="JSON compliant"):
        dump_report(spoiled)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "schema_version None"),
        ('{"schema_version": 2}', "version 2"),
        ('{"schema_version": 1}', "damaged"),
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path, text, says):
    path = tmp_path / "report.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=says):
        load_report(path)


def test_every_candidate_was_judged_on_the_first_set():
    with pytest.raises(InvalidInputError, match="teacher was not judged on the first test set, 'elsewhere'"):
        report(first_set="elsewhere")


def test_the_comparison_row_in_words():
    row = comparison_rows(report())[2]
    value = report().candidates[2].quality_by_set["main"].macro_f1
    assert (row.candidate, row.size_mb, row.gzip_mb, row.parameters) == ("student", "90.9", "45.5", "22.7 M")
    assert (row.zeros, row.p50_ms, row.speedup) == ("50.0 %", "1.00", "4.00× (3.90–4.20)")
    assert row.macro_f1 == f"{value.value:.3f} ({value.low:.3f}–{value.high:.3f})"


def test_one_setting_for_the_whole_table():
    slow, gpu = latency(9.0, threads=2, batch_size=32, samples=50), latency(0.1, device="cuda")
    mixed = report(latencies=[(latency(4.0),), (slow,), (gpu,)])
    assert str(headline_setting(mixed)) == "cpu, 1 thread, batch 1"
    assert [row.p50_ms for row in comparison_rows(mixed)] == ["4.00", "–", "–"]  # never a GPU time under a CPU heading
    fallback = report(latencies=[(slow,), (slow, latency(3.0, threads=2, batch_size=8)), (gpu,)])
    assert str(headline_setting(fallback)) == "cpu, 2 threads, batch 8"
    assert str(headline_setting(report(latencies=[(gpu,)] * 3))) == "cuda, 1 thread, batch 1"
    assert headline_setting(report(latencies=[(), (), ()])) is None


def test_markdown_holds_every_part_notes_first():
    text = render_markdown(report(), "report.svg")
    parts = ["# tiny", "> **Note:** synthetic", "## Comparison", "](report.svg)", "## F1 by label: main"]
    parts += ["## F1 by label: more", "## Latency", "## How to read it", "    compress run tiny --set a=1"]
    parts += ["- cpu: Xeon"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "| student | cpu | onnxruntime | 2 | 32 | 50 | 20.0 | 30.0 | – | 500 | 4.00× (3.90–4.20) |" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert tables
    assert "report.svg" not in render_markdown(report(), None)
    untimed = render_markdown(report(latencies=[(), (), ()]), None)
    assert [line for line in untimed.splitlines() if line.startswith("## Latency")] == []
    assert "Not measured." not in untimed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.12, "0.120"),
        (1.0, "1.00"),
        (9.996, "10.0"),
        (45.04, "45.0"),
        (99.96, "100"),
        (1440.4, "1440"),
        (2e-5, "0.000020"),
    ],
)
def test_three_significant_digits(value, text):
    assert significant(value) == text


def test_what_rounds_to_nothing_has_no_sign():
    assert interval_text(Interval(-0.0004, -0.08, 0.02)) == "0.000 (-0.080–0.020)"


def test_the_picture_is_the_same_svg_every_time_and_names_all():
    svg = draw_picture(report())
    assert svg == draw_picture(report())
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  # our own drawing
    for name in (
        "teacher (90.9 MB)",
        "tfidf (90.9 MB)",
        "student (90.9 MB)",
        "p50 latency, ms (cpu, 1 thread, batch 1)",
    ):
        assert f"<!-- {name}" in svg  # matplotlib writes each text as outlines, under a comment that holds it


def test_the_picture_without_latency_shows_size_and_says_what_it_left_out():
    assert "<!-- size, MB" in draw_picture(report(latencies=[(), (), ()]))
    assert "1 candidate(s) not measured" in draw_picture(report(latencies=[(latency(),), (latency(),), ()]))


@pytest.mark.parametrize("alike", range(4))
def test_many_candidates_at_one_spot_get_names_that_do_not_overlap(alike):
    from eval.report import picture

    boxes = []
    keep = picture._free_place

    def spy(*args):
        found = keep(*args)
        boxes.append(found[0])
        return found

    crowd = report(latencies=[(latency(),)] * 10, ids=[f"model-{i}" for i in range(10)])
    same = tuple(replace(it, quality_by_set=crowd.candidates[alike].quality_by_set) for it in crowd.candidates)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "_free_place", spy)
        draw_picture(replace(crowd, candidates=same, teacher_id=None))
    assert len(boxes) == 10
    assert not any(one.overlaps(two) for i, one in enumerate(boxes) for two in boxes[:i])


MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SIGNS = "ab1 _*`<>&|\\~[]()!#/;:-+=$^\"'."
written = st.text(st.sampled_from(SIGNS) | st.characters(exclude_categories=["C", "Z"]), max_size=20)


def shown(markdown):
    """What a reader sees of each piece of inline text, nothing of which may be marked up."""
    for token in MARKDOWN.parse(markdown):
        if token.type == "inline":
            assert {child.type for child in token.children} <= {"text"}, markdown
            yield "".join(child.content for child in token.children)


@given(written, written)
@given_example("<unk>", "<b>bold</b>")
@given_example("__init__", "a\\|b")
@given_example("end\\", "`code` &amp; [a](b) ~~no~~ C #")
@given_example("severe_toxic", "size_mb <= 100 & more")
def test_names_show_in_markdown_as_they_were_written(one, two):
    flat = [" ".join(text.split()) for text in (one, two)]
    assert list(shown(markdown_table((one, "h"), [(two, "x"), ("y", one)]))) == [
        flat[0],
        "h",
        flat[1],
        "x",
        "y",
        flat[0],
    ]
    assert list(shown(f"# x {plain(one)}")) == [f"x {flat[0]}".strip()]
    assert list(shown(f"> **Note:** {plain(one)}".replace("**", ""))) == [f"Note: {flat[0]}".strip()]


def test_names_are_escaped_only_where_they_must_be():
    assert plain("label_f1 <= teacher - 0.1 & more") == "label_f1 <= teacher - 0.1 & more"
    assert bold("a*b") == "**a\\*b**"
    assert plain(bold("a")) == "**a**"


@given(written.filter(str.strip))
def test_code_holds_whatever_signs(text):
    (line,) = [token for token in MARKDOWN.parse(f"x {code(text)} y") if token.type == "inline"]
    assert [(child.type, child.content) for child in line.children] == [
        ("text", "x "), ("code_inline", " ".join(text.split())), ("text", " y"),
    ]  # fmt: skip


def test_a_report_of_odd_names_has_them_all_in_its_markdown():
    odd = report(ids=("<unk>", "__init__", "a\\|b"), name="<b>", teacher_id="<unk>", notes=("*a* `note`",))
    texts = [token for token in MARKDOWN.parse(render_markdown(odd, None)) if token.type == "inline"]
    kinds = {child.type for token in texts for child in token.children}
    assert "html_inline" not in kinds
    seen = ["".join(child.content for child in token.children) for token in texts]
    assert {"<unk>", "__init__", "a\\|b", "<b>", "Note: *a* `note`"} <= set(seen)


def test_measurement_json_is_flat_and_exact():
    measurement = report().candidates[2]
    written = json.loads(json.dumps(measurement.to_json(), allow_nan=False))
    assert Measurement.from_json(written) == measurement
    assert asdict(FOOTPRINT).items() <= written.items()
