"""report.html as somebody uses it: in headless Chromium, by mouse and by keyboard. Skips where there is no Chromium."""

import os
import re
import shutil
from contextlib import contextmanager

import pytest
from reports import OFFENCE, full_report

from eval.report.html import render_html
from eval.report.picture import draw_picture

CHROMIUM = os.environ.get("COMPRESS_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: apt-get install chromium, or name one in COMPRESS_CHROMIUM"
)
COLOUR = "element => getComputedStyle(element).backgroundColor"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    report = full_report(labels=("toxic", "threat", '<script>throw "x"</script>', "never"))
    file.write_text(render_html(report, draw_picture(report)), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, address):
    """opened(width=..., color_scheme=...): the page; at its end nothing may have gone wrong or asked for anything."""

    @contextmanager
    def open_(width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_default_timeout(10_000)
        page, wrong, asked = context.new_page(), [], []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(request.url))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        yield page
        assert wrong == []
        assert [url for url in asked if not url.startswith("data:")] == [address]
        context.close()

    return open_


def settled(page):
    """Scrolling is told of with the next frame."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def names(page):
    return page.locator("#comparison tbody th").all_inner_texts()


def test_a_table_is_sorted_by_click_and_by_keyboard_and_says_how(opened):
    with opened() as page:
        heads = page.locator("#comparison thead th")
        assert names(page) == ["teacher", "tfidf", "student", "student-int8"]
        megabytes = heads.filter(has_text=re.compile("^MB$"))
        megabytes.locator("button").click()
        assert names(page) == ["teacher", "tfidf", "student", "student-int8"]  # 90, 45, 30, 22.5
        assert megabytes.get_attribute("aria-sort") == "descending"
        megabytes.locator("button").click()
        assert names(page) == ["student-int8", "student", "tfidf", "teacher"]
        assert megabytes.get_attribute("aria-sort") == "ascending"
        first = heads.first.locator("button")
        first.focus()
        page.keyboard.press("Enter")
        assert names(page) == ["student", "student-int8", "teacher", "tfidf"]
        assert heads.first.get_attribute("aria-sort") == "ascending"
        assert megabytes.get_attribute("aria-sort") == "none"
        page.keyboard.press("Space")
        assert names(page) == ["tfidf", "teacher", "student-int8", "student"]


def test_what_is_undefined_stays_last_however_it_is_sorted(opened):
    with opened() as page:
        table = page.locator("#labels table").first
        button = table.locator("thead button").nth(2)
        for _ in range(2):
            button.click()
            assert table.locator("tbody th").last.inner_text() == "never"


def test_hover_and_focus_show_what_a_mark_is(opened):
    with opened() as page:
        tip, marks = page.locator("#tip"), page.locator("#comparison .mark")
        assert tip.is_hidden()
        marks.nth(1).scroll_into_view_if_needed()
        settled(page)
        marks.nth(1).hover()
        assert tip.inner_text().startswith("tfidf: macro F1 0.")
        page.mouse.move(0, 0)
        assert tip.is_hidden()
        marks.first.focus()
        assert tip.inner_text().startswith("teacher: macro F1")
        page.keyboard.press("ArrowRight")
        assert tip.inner_text().startswith("tfidf: macro F1")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        assert tip.inner_text().startswith("student-int8: macro F1")  # round the end
        box = tip.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1280
        page.keyboard.press("Escape")
        assert tip.is_hidden()


def off_the_focus(page):
    """How far the name is from the mark that has the focus, in pixels, or None where it is hidden."""
    return page.evaluate(
        """() => {
          const tip = document.getElementById("tip"), at = document.activeElement.getBoundingClientRect();
          const own = tip.getBoundingClientRect();
          const up = Math.max(0, at.top - own.bottom, own.top - at.bottom);
          return tip.hidden ? null : Math.max(up, at.left - own.right, own.left - at.right);
        }"""
    )


@pytest.mark.parametrize("width", [420, 1280])
def test_by_keyboard_a_mark_far_below_is_named_where_it_then_is(opened, width):
    """The focus scrolls the page to the mark, and a wide plot to its side; that must not take the name away."""
    with opened(width) as page:
        page.evaluate("scrollTo(0, 0)")
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('#labels .mark')"):
                break
        settled(page)
        assert page.evaluate("scrollY") > 900
        assert page.locator("#tip").inner_text().startswith("teacher, toxic: F1 ")
        assert off_the_focus(page) < 10
        for _ in range(3):
            page.keyboard.press("ArrowLeft")
            settled(page)
            assert off_the_focus(page) < 10
        page.evaluate("scrollBy(0, -40)")
        settled(page)
        assert off_the_focus(page) < 10
        page.evaluate("document.activeElement.closest('.drawn').scrollBy(-30, 0)")
        settled(page)
        assert off_the_focus(page) < 10
        page.evaluate("scrollTo(0, 0)")
        settled(page)
        assert off_the_focus(page) is None  # the mark is out of sight
        page.keyboard.press("Escape")
        page.evaluate("document.activeElement.scrollIntoView()")
        settled(page)
        assert off_the_focus(page) is None  # sent away


def test_a_name_that_the_pointer_brought_goes_when_the_page_scrolls(opened):
    with opened() as page:
        mark = page.locator("#comparison .mark").nth(1)
        mark.scroll_into_view_if_needed()
        settled(page)
        mark.hover()
        assert page.locator("#tip").is_visible()
        page.mouse.wheel(0, 500)
        page.locator("#tip").wait_for(state="hidden")


def test_each_drawing_has_one_stop_for_the_tab_key(opened):
    with opened() as page:
        drawings = page.locator("svg.drawing:has(.mark)")
        assert drawings.count() >= 5
        for place in range(drawings.count()):
            assert drawings.nth(place).locator('.mark[tabindex="0"]').count() == 1


def test_a_text_is_blurred_until_it_is_pressed(opened):
    with opened() as page:
        veil = page.locator(".veil").first
        text = veil.locator("span")

        def blurred():
            return text.evaluate("element => getComputedStyle(element).filter") != "none"

        assert blurred()
        assert page.get_by_role("button", name=re.compile("^Show the text of row")).count() == 15
        veil.click()
        assert not blurred()
        assert veil.get_attribute("aria-expanded") == "true"
        assert text.inner_text().startswith(OFFENCE)
        assert page.get_by_role("button", name=OFFENCE).count() == 1  # now it is read out
        page.keyboard.press("Enter")
        assert blurred()
        everything = page.get_by_role("button", name="Show all texts")
        everything.click()
        assert page.locator('.veil[aria-expanded="true"]').count() == 15
        page.get_by_role("button", name="Hide all texts").click()
        assert page.locator('.veil[aria-expanded="true"]').count() == 0


def test_curves_follow_the_choice_and_say_where_there_is_none(opened):
    with opened() as page:
        section = page.locator("#thresholds")
        assert section.locator("figcaption").inner_text().startswith("teacher, toxic: at its threshold")
        section.get_by_label("Candidate").select_option("student")
        section.get_by_label("Label").select_option("threat")
        assert section.locator("figcaption").inner_text().startswith("student, threat: ")
        assert section.locator("svg .choice.shown").count() == 4
        assert section.locator("svg .choice.shown").first.is_visible()
        reliability = page.locator("#calibration")
        reliability.get_by_label("Label").select_option("never")
        assert reliability.locator("figcaption").inner_text().startswith("teacher, never: expected calibration error")


def test_a_candidate_is_seen_alone_when_its_name_is_pressed(opened):
    with opened() as page:
        button = page.locator("#labels .legend").get_by_role("button", name="student", exact=True)
        dim = page.locator("#labels .series.dim")
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert dim.count() == page.locator("#labels .series").count() * 3 // 4
        button.click()
        assert dim.count() == 0


def test_dark_and_light_follow_the_system(opened):
    found = {}
    for scheme in ("light", "dark"):
        with opened(color_scheme=scheme) as page:
            found[scheme] = page.locator("body").evaluate(COLOUR)
            mark = page.locator("#comparison svg text, #labels svg text").first
            assert mark.evaluate("element => getComputedStyle(element).fill") == page.locator("body").evaluate(
                "element => getComputedStyle(element).color"
            )
    assert found["light"] == "rgb(255, 255, 255)"
    assert found["dark"] != found["light"]


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_is_as_wide_as_the_window_and_what_is_wider_scrolls_by_itself(opened, width):
    with opened(width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_paper_it_is_light_unfolded_and_veiled_texts_are_left_out(opened):
    with opened(color_scheme="dark") as page:
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("body").evaluate(COLOUR) == "rgb(255, 255, 255)"
        assert page.locator("nav").is_hidden()
        assert page.locator("details:not([open])").count() == 0
        assert page.locator(".veil span").first.is_hidden()
        assert page.locator("#reveal").is_hidden()
        sizes = [
            page.locator(part).first.evaluate("element => parseFloat(getComputedStyle(element).fontSize)")
            for part in ("#comparison .hint", "#comparison table", "body")
        ]
        assert sizes[0] <= sizes[1] < sizes[2]
        assert page.locator(".swatch").first.evaluate("it => getComputedStyle(it).printColorAdjust") == "exact"
        assert len(page.pdf()) > 10_000


def test_after_printing_what_was_folded_is_folded_again(opened):
    with opened() as page:
        recipe = page.locator("details").filter(has_text="The recipe")
        recipe.locator("summary").click()
        before = page.locator("details[open]").count()
        for event in ("beforeprint", "afterprint"):
            page.evaluate(f"dispatchEvent(new Event('{event}'))")
            count = page.locator("details[open]").count()
            assert count == (page.locator("details").count() if event == "beforeprint" else before == 1)
        assert recipe.get_attribute("open") is not None


@pytest.mark.parametrize("pressed", ["teacher", "student", "student-int8", None])
def test_on_paper_the_legend_names_what_is_shown(opened, pressed):
    with opened() as page:
        legend = page.locator("#labels .legend")
        if pressed:
            legend.get_by_role("button", name=pressed, exact=True).click()
        page.emulate_media(media="print")
        seen = [it.inner_text() for it in legend.locator("button").all() if it.is_visible()]
        assert seen == ([pressed] if pressed else ["teacher", "tfidf", "student", "student-int8"])


def test_sorting_labels_leaves_the_averages_below(opened):
    with opened() as page:
        table = page.locator("#labels table").first
        foot = table.locator("tfoot th").all_inner_texts()
        for _ in range(2):
            table.locator("thead button").nth(2).click()
            assert table.locator("tfoot th").all_inner_texts() == foot
            assert table.locator("tr").last.inner_text().startswith("macro average precision")


def test_the_contents_lead_to_every_section(opened):
    with opened() as page:
        links = page.locator("nav a")
        assert links.count() == page.locator("main section").count()
        for place in range(links.count()):
            assert page.locator(f"main section{links.nth(place).get_attribute('href')} h2").is_visible()
