"""report.html as text: what is in it, what is left out, and that nothing of a report can act in it."""

import base64
import hashlib
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import bare_report, classifiers, full_report, regression_report, size, timed

from eval import Interval
from eval.report.gains import stage_gains
from eval.report.html import render_html
from eval.report.inline import inline_svg
from eval.report.page_tables import signed, sort_value
from eval.report.pareto import dominated
from eval.report.picture import draw_picture

EVIL = '"><img src=x onerror=alert(1)>'
SECTIONS = (
    "verdicts", "notes", "comparison", "stages", "labels", "differences", "thresholds", "calibration", "agreement",
    "slices", "disagreements", "latency", "reproduce",
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


@pytest.fixture(scope="module")
def whole():
    return page(full_report())


def sections(text):
    return tuple(attributes["id"] for tag, attributes in Page(text).tags if tag == "section")


def test_a_section_for_all_that_is_known_and_none_for_what_is_not(whole):
    assert sections(whole) == SECTIONS
    assert sections(page(bare_report())) == ("comparison", "labels", "reproduce")
    assert sections(page(regression_report())) == ("comparison", "targets", "latency", "reproduce")
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
    assert time.process_time() - started < 4  # 1.3 on a core that nothing else shares
    assert len(text) < 3_000_000


def test_a_label_and_a_candidate_without_numbers_do_not_stop_the_page():
    report = full_report()
    untimed = replace(report.candidates[2], latency=(), length_latency=())
    text = page(replace(report, candidates=(*report.candidates[:2], untimed, report.candidates[3])))
    assert "student-int8: macro F1" in text
    assert 'aria-label="student: macro F1' not in text  # no place in the picture; in the table it has a dash
    assert '<td class="">–</td>' in text
    nothing = replace(bare_report(), candidates=())
    assert sections(page(nothing)) == ("comparison", "reproduce")


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
    assert int8.speed == pytest.approx(4 / 3)
    assert (int8.zeros_before, int8.zeros) == (0.2, pytest.approx(0.3))
    assert student.quality.low is not None  # the teacher is what it was compared with, row by row
    assert int8.quality.low is None
    own, parent = (next(it for it in classifiers() if it.id == name) for name in ("student-int8", "student"))
    scores = [it.quality_by_set["main"].macro_f1.value for it in (own, parent)]
    assert int8.quality.value == pytest.approx(scores[0] - scores[1])


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
