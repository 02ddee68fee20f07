"""report.html as text: what is in it, what is left out, and that nothing of a report can act in it."""

import base64
import hashlib
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from functools import cache
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import bare_report, classifiers, full_report, regression_report, size, timed

from eval import Interval
from eval.latency.conditions import Conditions
from eval.report.comparison import interval_text, number, with_interval
from eval.report.gains import stage_gains
from eval.report.html import render_html
from eval.report.inline import inline_svg
from eval.report.markdown import render_markdown
from eval.report.page_labels import measure_tables
from eval.report.page_plots import batch_plots, length_plots, pareto_plot
from eval.report.page_tables import gains_table, signed, sort_value
from eval.report.page_warnings import warnings, weak_teacher
from eval.report.pareto import dominated
from eval.report.picture import draw_picture
from eval.report.reading import how_to_read, in_parts, unchosen_text

EVIL = '"><img src=x onerror=alert(1)>'
SECTIONS = (
    "verdicts", "comparison", "notes", "stages", "labels", "differences", "thresholds", "calibration", "agreement",
    "slices", "disagreements", "latency", "reading", "reproduce",
)  # fmt: skip


ONE = bare_report()


class Page(HTMLParser):
    """Tags with their attributes, and the text of each element of one kind."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.open, self.held = [], [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.held.setdefault(self.open[-1] if self.open else "", []).append(data)


def page(report):
    return render_html(report, draw_picture(report))


@cache
def whole_report():
    return full_report()


@pytest.fixture(scope="module")
def whole():
    return page(whole_report())


def sections(text):
    return tuple(attributes["id"] for tag, attributes in Page(text).tags if tag == "section")


def test_a_section_for_all_that_is_known_and_none_for_what_is_not(whole):
    assert sections(whole) == SECTIONS
    assert sections(page(bare_report())) == ("comparison", "labels", "reading", "reproduce")
    assert sections(page(regression_report())) == ("comparison", "targets", "latency", "reading", "reproduce")
    assert "undefined" in whole
    assert "nan" not in whole.lower().replace("candidate", "")


def test_no_part_of_the_page_lies_elsewhere(whole):
    parsed = Page(whole)
    assert not [tag for tag, _ in parsed.tags if tag in ("link", "iframe", "object", "embed", "base", "img")][1:]
    for tag, attributes in parsed.tags:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            found = attributes.get(name, "#")
            assert found.startswith("#") or found == "data:,", (tag, found)
    style = whole[whole.index("<style>") : whole.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in whole


def test_the_page_allows_one_script_only_its_own(whole):
    script = re.search(r"<script>(.*)</script>", whole, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in whole
    assert whole.count("<script") == 1
    assert "'unsafe-inline'; script-src" in whole  # of styles only


def test_every_id_occurs_once_however_many_drawings(whole):
    ids = Counter(Page(whole).ids)
    glyphs = re.compile(r"pareto-DejaVu")  # an outline that the picture's texts share
    assert [name for name, count in ids.items() if count > 1 and not glyphs.match(name)] == []


def test_names_and_texts_of_a_report_are_only_ever_text():
    report = full_report(
        ids=("teacher", EVIL, "<script>alert(2)</script>", "x" * 120), labels=(EVIL, "</svg>", "never")
    )
    report = replace(report, name=EVIL, notes=(EVIL,), command=EVIL, environment={EVIL: EVIL}, recipe={EVIL: EVIL})
    parsed = Page(page(report))
    kinds = Counter(tag for tag, _ in parsed.tags)
    assert kinds["script"] == 1
    assert kinds["img"] == kinds["b"] == 0
    assert not [attributes for _, attributes in parsed.tags if any(name.startswith("on") for name in attributes)]
    assert EVIL in "".join(parsed.held["h1"])


def text_of(html):
    """As a reader sees it."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def section(text, name):
    return text[text.index(f'<section id="{name}">') :].partition("</section>")[0]


def test_every_mark_says_what_it_is(whole):
    says = [attributes["aria-label"] for _, attributes in Page(whole).tags if attributes.get("class") == "mark"]
    assert sum(text.startswith("student-int8: macro F1") for text in says) == 1
    assert (
        sum(re.match(r"student-int8, toxic: F1 0\.\d{3} \(.*\), \d+ positives", text) is not None for text in says) == 1
    )
    assert not [text for text in says if ", never" in text]  # undefined: there is nothing to show
    assert [text for text in says if text.startswith("student, 64 tokens: ")]
    assert len([text for text in says if re.match(r"student, batch 32: .* ms a text", text)]) == 2  # 1 and 2 threads


def test_more_candidates_than_colours_are_still_told_apart():
    ids = ("teacher", "tfidf", *(f"student-{place}" for place in range(12)))
    tags = Page(page(full_report(ids=ids, count=60))).tags
    series = [it["data-series"] for tag, it in tags if tag == "button" and "data-series" in it]
    assert sorted(set(map(int, series))) == list(range(14))
    assert {it["class"] for tag, it in tags if tag == "button" and "data-series" in it} == {f"c{n}" for n in range(10)}


def cuda_report():
    """As a machine with a GPU measures: of each torch model fp32 and fp16 rows of one setting, by batch and length."""
    report = whole_report()

    def on_cuda(row, runtime, share):
        ms = row.p50_ms * share
        return replace(row, device="cuda", threads=2, runtime=runtime, p50_ms=ms, p95_ms=ms * 1.5)

    def both(rows, runtimes):
        once = [row for row in rows if row.threads == 1]
        return tuple(on_cuda(row, name, 0.1 / (1 + 4 * place)) for row in once for place, name in enumerate(runtimes))

    runtimes = {"teacher": ("torch", "torch fp16"), "student": ("torch", "torch fp16"), "tfidf": ()}
    candidates = []
    for it in report.candidates:
        chosen = runtimes.get(it.id, ("onnxruntime",))
        lengths = (*it.length_latency, *both(it.length_latency, chosen))
        candidates.append(replace(it, latency=(*it.latency, *both(it.latency, chosen)), length_latency=lengths))
    return replace(report, candidates=tuple(candidates))


def test_fp32_and_fp16_of_one_setting_are_two_lines_and_not_one_that_goes_to_and_fro():
    report = cuda_report()
    for (title, drawing), points in ((batch_plots(report)[-1], 2), (length_plots(report)[-1], 3)):
        assert title.startswith("cuda, 2 threads")
        assert title.endswith("; dashed: torch fp16")
        root = ElementTree.fromstring(drawing)  # noqa: S314 - our own drawing
        lines = [it for it in root.iter() if re.search(r"-line-\d+$", it.get("id", ""))]
        assert len(lines) == 5  # teacher and student twice, int8 once; TF-IDF does not run there
        for line in lines:
            across = [float(x) for x in re.findall(r"[ML] (\S+)", line[0].get("d"))]
            assert len(across) == points
            assert across == sorted(across)
        dashed = ["stroke-dasharray" in line[0].get("style") for line in lines]
        assert dashed == [False, True, False, True, False]
        assert [line.get("data-series") for line in lines] == ["0", "0", "2", "2", "3"]  # a name pressed shows both
        says = [it.get("aria-label") for it in root.iter() if it.get("class") == "mark"]
        assert sum(text.startswith("teacher (torch fp16), ") for text in says) == points
        assert sum(text.startswith("student-int8, ") for text in says) == points
    assert "dashed" not in batch_plots(whole_report())[0][0]


def test_all_that_is_measured_of_a_label_is_shown(whole):
    report = whole_report()
    quality = next(it for it in report.candidates if it.id == "student").quality_by_set["main"]
    part = section(whole, "labels").partition("Precision, recall, ROC-AUC and average precision by label on main")[2]
    own = part.partition("<caption>student on main</caption>")[2].partition("</table>")[0]
    head, _, foot = (text_of(it) for it in own.partition("<tfoot>"))
    toxic = quality.labels["toxic"]
    for name in ("precision", "recall", "f1", "roc_auc", "average_precision"):
        low, high = getattr(toxic, f"{name}_low"), getattr(toxic, f"{name}_high")
        assert with_interval(getattr(toxic, name), low, high) in head
        assert low is not None
        assert interval_text(getattr(quality, f"macro_{name}")) in foot
        assert interval_text(getattr(quality, f"micro_{name}")) in foot
    assert f" {toxic.threshold:.3g} " in head
    assert number(toxic.f1_at_half) in head
    assert number(quality.macro_f1_at_half) in foot
    assert head.index(" F1 ") < head.index(" F1 at 0.5 ") < head.index(" average precision ")


def test_averages_stand_in_the_foot_where_sorting_leaves_them(whole):
    table = section(whole, "labels").partition("<caption>F1 by label on main</caption>")[2].partition("</table>")[0]
    body, _, foot = (text_of(it) for it in table.partition("<tfoot>"))
    for average in ("macro F1", "micro F1", "macro ROC-AUC", "macro average precision"):
        assert average not in body
        assert average in foot


def test_candidates_stand_in_one_order_everywhere():
    ids = ("tfidf", "teacher", "student")
    by_id = {it.id: it for it in whole_report().candidates}
    report = replace(whole_report(), candidates=tuple(by_id[name] for name in ids))
    text = page(report)
    legend = [
        attributes["data-series"]
        for tag, attributes in Page(text).tags
        if "data-series" in attributes and tag == "button"
    ]
    assert legend[:3] == ["1", "0", "2"]
    assert re.findall(r'<th scope="row" class="words">([^<]+)</th>', section(text, "comparison")) == list(ids)
    heads = re.findall(r"<button type=\"button\">([^<]+)</button>", section(text, "labels").partition("<thead>")[2])
    assert heads[2:5] == list(ids)


def test_the_page_says_how_it_is_to_be_read(whole):
    told = text_of(section(whole, "reading"))
    terms = (
        "undecided , as is what rests on",
        "Inconclusive : the interval holds 1",
        "Imprecise : all of it",
        "p99 needs 200 samples",
    )
    for words in (*terms, "MB are millions", "Macro is the mean over labels", "micro pools"):
        assert words in told
    assert "*" not in told
    assert "<em>undecided</em>" in whole
    assert "Met :" not in text_of(section(page(bare_report()), "reading"))  # it has no goals
    assert "Spearman is the correlation" in " ".join(map("".join, in_parts(how_to_read(regression_report()))))


def conditions(others):
    return Conditions("cpu", 1, "Xeon", ("avx2",), 4, 1.24, 3.1, others, 12.4)


def test_the_machine_is_told_of_busy_or_not():
    machine = {
        "cpu": "Xeon",
        "cpu_features": ["avx2", "vnni"],
        "gpu": None,
        "libraries": {"torch": "2.1", "numpy": "2"},
    }
    report = bare_report(timing=(conditions(0.04),), environment=machine)
    timed_too = replace(report, candidates=(replace(report.candidates[0], latency=(timed(2.0),)),))
    text, markdown = page(timed_too), render_markdown(timed_too, None)
    line = "cpu, 1 thread: 12 s, in which other work kept 0.0 of 4 cores busy; load 1.2 before, 3.1 after"
    assert line in text_of(section(text, "latency"))
    assert f"- {line}" in markdown
    for told in (text_of(section(text, "reproduce")), markdown):
        assert re.search("cpu_features:? avx2, vnni", told)
        assert re.search("libraries:? torch 2.1, numpy 2", told)
        assert "gpu" not in told


def test_warnings_come_first_and_notes_after_the_comparison():
    loud = conditions(2.0)
    recipe = {"data": {"builtin": "comments"}}
    text = page(bare_report(timing=(loud,), notes=("a note", loud.note()), recipe=recipe))
    above, _, below = text.partition("<main")
    listed = text_of(above.partition('class="warnings"')[2].partition("</ul>")[0])
    assert "the test rows are generated" in listed
    assert "thin support: 1 of 2 labels have fewer than 10 positives in main: never (0);" in listed
    assert loud.note() in listed
    assert "a note" not in listed
    assert sections(text)[:2] == ("comparison", "notes")
    assert text_of(section(below, "notes")).endswith("Notes a note")  # what was a warning is not told again


def test_nothing_is_warned_of_where_all_is_well():
    report = bare_report(notes=("a note",))
    quality = report.candidates[0].quality_by_set["main"]
    common = replace(quality, labels={"toxic": replace(quality.labels["toxic"], support=10)})
    well = replace(report, candidates=(replace(report.candidates[0], quality_by_set={"main": common}),))
    assert warnings(well) == ()
    assert 'class="warnings"' not in page(well)
    many = {f"label {number}": replace(quality.labels["toxic"], support=number) for number in range(12)}
    rare = replace(report.candidates[0], quality_by_set={"main": replace(quality, labels=many)})
    (told,) = warnings(replace(report, candidates=(rare,)))
    assert "10 of 12 labels" in told
    assert "label 5 (5) and 4 more; " in told


@pytest.mark.parametrize(
    ("data", "generated"),
    [
        ({"builtin": "comments", "test": None}, True),
        ({"builtin": None, "test": {"test": [{"builtin": "comments", "split": "test"}]}}, True),
        ({"builtin": None, "train": {"builtin": "comments", "split": "train"}, "test": {"test": "rows.csv"}}, False),
        ({"dir": "jigsaw"}, False),
        ("rows.csv", False),
        (None, False),
    ],
)
def test_generated_rows_are_told_by_where_they_come_from(data, generated):
    found = warnings(bare_report(recipe={"data": data}))
    assert any("are generated" in line for line in found) == generated


def test_a_state_that_no_goal_came_to_is_not_counted(whole):
    report = whole_report()
    text = page(replace(report, verdicts=report.verdicts[:1]))
    standing = text_of(text.partition('<p class="standing">')[2].partition("</p>")[0])
    assert standing == "1 met"
    assert 'class="state missed"' not in text
    assert whole.count('class="state missed"') == 2  # counted, and in its row


def test_goals_are_sorted_by_numbers(whole):
    cells = re.findall(r'<td class="words" data-sort="([^"]+)">', section(whole, "verdicts"))
    assert [float(cell) for cell in cells] == [0.02, -0.01, -0.05, -0.01, -0.01, -0.01]


def luminance(colour):
    """WCAG 2.1, relative luminance."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in shares]
    return sum(weight * it for weight, it in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_names_in_the_picture_can_be_read_also_those_of_the_dominated(whole):
    report = whole_report()
    beaten = replace(report.candidates[2], footprint=size(2), latency=(timed(40.0),))
    report = replace(report, candidates=(*report.candidates[:2], beaten, report.candidates[3]))
    assert dominated(report) == {"student"}
    root = ElementTree.fromstring(pareto_plot(report, draw_picture(report)))  # noqa: S314 - our own drawing
    fills = {}
    for place in range(4):
        (name,) = (it for it in root.iter() if it.get("id") == f"pareto-name-{place}")
        style = " ".join(it.get("style", "") for it in name.iter())
        assert "opacity" not in style
        fills[place] = re.findall(r"fill: ([^;\s]+)", style)
    assert fills == {0: [], 1: [], 2: ["var(--soft)"], 3: []}  # without one it is the page's own ink
    themes = re.findall(r"--surface: (#\w+); --ink: (#\w+); --soft: (#\w+)", whole)
    assert len(themes) == 3  # light, dark, paper
    for surface, *inks in themes:
        for ink in inks:
            light, dark = sorted((luminance(surface), luminance(ink)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_texts_are_veiled_and_no_screen_reader_reads_them_unasked(whole):
    veils = [attributes for _, attributes in Page(whole).tags if attributes.get("class") == "veil"]
    assert len(veils) == 15  # three candidates that are no teacher, five each
    assert all(veil["aria-expanded"] == "false" and veil["aria-label"].startswith("Show") for veil in veils)
    assert whole.count('<span aria-hidden="true">you &lt;b&gt;rotten&lt;/b&gt;') == 15


def test_one_choice_of_curves_is_shown_from_the_start(whole):
    shown = [attributes["data-pick"] for _, attributes in Page(whole).tags if attributes.get("class") == "choice shown"]
    assert set(shown) == {"0-0"}
    # four curves and a sentence of thresholds, three and a sentence of reliability
    assert len(shown) == 9


def test_a_report_of_28_labels_and_10_candidates_is_drawn_at_once():
    ids = ("teacher", "tfidf", *(f"student-{place}" for place in range(8)))
    report = full_report(ids=ids, labels=tuple(f"label {place}" for place in range(28)), count=400)
    started = time.process_time()
    text = page(report)
    assert time.process_time() - started < 2  # 1.3 to 1.4 on a core that nothing else shares
    assert len(text) < 3_000_000


def test_a_label_and_a_candidate_without_numbers_do_not_stop_the_page():
    report = full_report()
    untimed = replace(report.candidates[2], latency=(), length_latency=())
    text = page(replace(report, candidates=(*report.candidates[:2], untimed, report.candidates[3])))
    assert "student-int8: macro F1" in text
    assert 'aria-label="student: macro F1' not in text  # no place in the picture; in the table it has a dash
    assert '<td class="">–</td>' in text
    nothing = replace(bare_report(), candidates=())
    assert sections(page(nothing)) == ("comparison", "reading", "reproduce")


def test_rendering_needs_no_torch_and_no_compress():
    heavy = "[it for it in sys.modules if it.split('.')[0] in ('torch', 'compress', 'sklearn', 'transformers')]"
    code = f"import sys; import eval.report.html, eval.report.compare, eval.report.schema; print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ---------------------------------------------------------------------------------------------------- its parts


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.652 (0.630–0.671)", 0.652),
        ("22.7 M", 22_700_000),
        ("48.6 k", 48_600),
        ("12.3× (12.1–12.6)", 12.3),
        ("50.0 %", 50),
        ("-0.012 (-0.020 to -0.001)", -0.012),
        ("+0.012", 0.012),
        ("undefined", None),
        ("–", None),
        ("", None),
    ],
)
def test_a_column_is_sorted_by_the_number_in_front(text, number):
    assert sort_value(text) == number


def test_a_difference_has_its_sign_and_nothing_has_none():
    assert signed(0.0123, -0.0004, 0.03) == "+0.012 (+0.000 to +0.030)"
    assert signed(None, None, None) == "undefined"
    assert signed(-0.5, None, None) == "-0.500"


costs = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 4))


@given(st.lists(costs, min_size=1, max_size=8))
def test_dominated_are_those_that_another_beats_on_all_three(found):
    made = [
        replace(
            ONE.candidates[0],
            id=str(place),
            footprint=size(cost[0]),
            latency=(timed(float(cost[1])),),
            quality_by_set={
                "main": replace(ONE.candidates[0].quality_by_set["main"], macro_f1=Interval(cost[2] / 4, None, None))
            },
        )
        for place, cost in enumerate(found)
    ]
    faint = dominated(replace(ONE, candidates=tuple(made)))
    better = np.array([(-bytes_, -ms, quality) for bytes_, ms, quality in found])
    for place, own in enumerate(better):
        beaten = any((other >= own).all() and (other > own).any() for other in better)
        assert (str(place) in faint) == beaten


def test_what_a_stage_cut_is_read_off_its_parent():
    gains = stage_gains(full_report())
    assert [(gain.stage, gain.kind, gain.parent) for gain in gains] == [
        ("student", "distill", "teacher"),
        ("student-int8", "quantize", "student"),
    ]
    student, int8 = gains
    assert student.asked == ("student.layers: 1",)
    assert int8.asked == ("scheme: int8",)
    assert student.size_share == pytest.approx(1 / 3, rel=1e-6)
    assert int8.parameters_share == pytest.approx(3 / 4, rel=1e-6)
    assert int8.speed == Interval(pytest.approx(4 / 3), None, None)  # of p50s: it was not timed against its parent
    assert (int8.zeros_before, int8.zeros) == (0.2, pytest.approx(0.3))
    assert student.quality.low is not None  # the teacher is what it was compared with, row by row
    assert int8.quality.low is None
    own, parent = (next(it for it in classifiers() if it.id == name) for name in ("student-int8", "student"))
    scores = [it.quality_by_set["main"].macro_f1.value for it in (own, parent)]
    assert int8.quality.value == pytest.approx(scores[0] - scores[1])


def test_averaged_teachers_are_all_named_with_the_weights_of_the_training():
    """Which sum to 1; a stage that follows another began with that one, whoever teaches it."""
    report = full_report()
    teacher, distill, quantize = report.recipe["stages"]
    weights = {"teacher": 3, "tfidf": 1.0}
    for stages, words in (
        ([teacher, distill | {"teacher": weights}], "teacher (0.75), tfidf (0.25)"),
        ([teacher, distill | {"teacher": {"teacher": 2.0}}], "teacher"),
        ([teacher, quantize | {"teacher": weights}], "student"),
    ):
        told = replace(report, recipe={"stages": stages})
        assert [row[2].text for row in gains_table(told).rows] == [words]
        assert f"| {words} |" in render_markdown(told, None)
        assert words in text_of(section(page(told), "stages"))


def against_baseline(macro_f1, macro_roc_auc, **changes):
    """The full report, its teacher so far from TF-IDF: each an interval."""
    report = full_report(**changes)
    teacher = report.candidates[0]
    details = teacher.details_by_set["main"]
    apart = replace(details.against["tfidf"], macro_f1=macro_f1, macro_roc_auc=macro_roc_auc)
    judged = replace(teacher, details_by_set={"main": replace(details, against={"tfidf": apart})})
    return replace(report, candidates=(judged, *report.candidates[1:]))


WORSE, ALIKE, UNKNOWN = Interval(-0.045, -0.08, -0.01), Interval(-0.045, -0.1, 0.0), Interval(None, None, None)


@pytest.mark.parametrize(
    ("macro_f1", "macro_roc_auc", "says"),
    [
        (WORSE, ALIKE, "(less tfidf: macro F1 -0.045 (-0.080 to -0.010)),"),
        (UNKNOWN, WORSE, "(less tfidf: macro ROC-AUC -0.045 (-0.080 to -0.010)),"),
        (WORSE, WORSE, "(less tfidf: macro F1 -0.045 (-0.080 to -0.010), macro ROC-AUC -0.045 (-0.080 to -0.010)),"),
        (ALIKE, ALIKE, ""),
        (UNKNOWN, UNKNOWN, ""),
        (Interval(-0.2, None, None), Interval(0.1, 0.05, 0.2), ""),
    ],
)
def test_a_teacher_worse_than_tfidf_beyond_noise_is_told_of_with_the_next_step(macro_f1, macro_roc_auc, says):
    report = against_baseline(macro_f1, macro_roc_auc)
    text, markdown = page(report), render_markdown(report, None)
    above = text_of(text.partition("<main")[0])
    notes = [line for line in markdown.splitlines() if line.startswith("> **Note:** weak teacher: teacher is worse")]
    if not says:
        assert "weak teacher" not in above + markdown
        return
    assert len(notes) == 1
    for told in (above, notes[0]):
        assert f"weak teacher: teacher is worse than TF-IDF on main {says}" in told
        assert "train it longer, or let students learn from the average of the two" in told
        assert "(teacher: {teacher: 0.5, tfidf: 0.5})" in told


def test_a_weak_teachers_next_step_is_none_that_is_taken_or_makes_no_sense():
    report = against_baseline(WORSE, WORSE)
    stages = [{"id": "student", "type": "distill", "teacher": {"teacher": 0.5, "tfidf": 0.5}}]
    averaged = replace(report, recipe={"stages": stages})
    (told,) = weak_teacher(averaged)
    assert told.endswith("; train it longer")
    words = replace(report, candidates=(replace(report.candidates[0], stage="tfidf"), *report.candidates[1:]))
    (told,) = weak_teacher(words)
    assert "longer" not in told
    assert told.endswith("(teacher: {teacher: 0.5, tfidf: 0.5})")
    assert weak_teacher(replace(words, teacher_id=None)) == weak_teacher(bare_report()) == ()
    assert weak_teacher(regression_report()) == ()


@pytest.mark.parametrize(
    ("kind", "stages", "ends"),
    [
        ("distill", (), "); train it longer"),  # of `compress evaluate`: nobody learns from it
        ("load", (), "); hold others against tfidf"),
        ("tfidf", (), "); hold others against tfidf"),
        ("finetune", ({"type": "distill", "teacher": "another"},), "); train it longer"),
        ("load", ({"type": "distill", "teacher": {"teacher": 0.5, "tfidf": 0.5}},), "let students learn from tfidf"),
        ("load", ({"type": "distill", "teacher": "teacher"},), "(teacher: {teacher: 0.5, tfidf: 0.5})"),
    ],
)
def test_of_a_weak_teacher_only_what_applies_is_said(kind, stages, ends):
    report = against_baseline(WORSE, WORSE)
    candidates = (replace(report.candidates[0], stage=kind), *report.candidates[1:])
    (told,) = weak_teacher(replace(report, candidates=candidates, recipe={"stages": stages}))
    assert told.endswith(ends)
    taught = any("teacher" in it["teacher"] for it in stages)
    assert ("students" in told) == taught
    assert ("train it longer" in told) == (kind in {"finetune", "distill"})


def test_a_fallback_to_the_cpu_is_a_warning_and_is_said_once():
    note = "student: cuda asked for, but it ran on the CPU: not measured"
    report = replace(full_report(), notes=("a note", note))
    assert note in text_of(section(page(report), "notes"))  # of an older report, that does not know who it was
    fallen = tuple(replace(it, fell_back=("cuda",) * (it.id == "student")) for it in report.candidates)
    told = replace(report, candidates=fallen)
    text = page(told)
    assert note in warnings(told)
    assert note in text_of(text.partition("<main")[0])
    assert text_of(text).count(note) == 1
    assert f"> **Note:** {note}" in render_markdown(told, None)


def test_a_threshold_that_validation_could_not_choose_is_marked_and_told_of():
    report = replace(full_report(), validation_positives={"toxic": 12, "threat": 0, "never": 3})
    text, markdown = page(report), render_markdown(report, None)
    says = "No threshold could be chosen for threat: the validation rows hold no positive. What stands in is that of"
    for told in (text_of(section(text, "labels")), text_of(section(text, "thresholds")), markdown):
        assert told.count(says) == 1
    (table, *_) = measure_tables(report, "main")
    cells = {row[0].text: row[2] for row in table.rows}
    assert {name: cell.text for name, cell in cells.items()} == {
        "toxic": "0.5", "threat": "0.5 (not chosen)", "never": "0.5",
    }  # fmt: skip
    assert cells["threat"].sort == 0.5
    for nothing in (full_report(), replace(full_report(), validation_positives={"toxic": 1, "threat": 2})):
        assert "could be chosen" not in page(nothing) + render_markdown(nothing, None)
    none = replace(report, validation_positives={f"label {number}": 0 for number in range(8)})
    assert unchosen_text(none).startswith("No threshold could be chosen for label 0, label 1,")
    assert "label 5 and 2 more: the validation rows hold no positive. What stands in is 0.5;" in unchosen_text(none)


def test_a_gain_in_speed_has_the_interval_of_its_pairs_and_says_where_it_is_too_wide():
    """1.02 times as fast by the p50s alone, and nobody knows."""
    report = full_report()
    last = report.candidates[-1]
    for found, text in (
        (Interval(1.02, 0.84, 1.2), "1.02× (0.840–1.20) inconclusive"),
        (Interval(1.5, 1.4, 1.6), "1.50× (1.40–1.60)"),
        (Interval(45.0, 30.0, 60.0), "45.0× (30.0–60.0) imprecise"),
    ):
        paired = replace(last, latency=tuple(replace(row, speedup_vs_parent=found) for row in last.latency))
        told = replace(report, candidates=(*report.candidates[:-1], paired))
        assert stage_gains(told)[-1].speed == found
        assert gains_table(told).rows[-1][8].text == text
        assert f"| {text} |" in render_markdown(told, None)
    assert gains_table(report).rows[-1][8].text == "1.33×"


def test_a_drawing_keeps_its_colours_to_the_page_and_its_ids_to_itself():
    drawing = (
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'width="1pt"><metadata/><defs><style>*{}</style></defs><g id="dots"><defs><path id="m" d="M 0.12345 1"/></defs>'
        '<g clip-path="url(#p)"><use xlink:href="#m" style="fill: #000000; stroke: #010103"/></g></g></svg>'
    )
    found = inline_svg(drawing, "one", 'a "plot"', {"dots": ['<b> & "c"'], "missing": ["d"]})
    assert 'id="one-dots"' in found
    assert 'xlink:href="#one-m"' in found
    assert 'clip-path="url(#one-p)"' in found
    assert 'd="M 0.12 1"' in found
    assert "fill: currentColor; stroke: var(--c3)" in found
    assert 'aria-label="&lt;b&gt; &amp; &quot;c&quot;"' in found
    assert "width=" not in found
    assert "<style" not in found
    assert "metadata" not in found
