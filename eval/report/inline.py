"""A drawing made for a file of its own, as an element of an HTML page: its colours follow the page, its marks speak."""

import re
from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_SVG, _LINKS = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_HREF = f"{{{_LINKS}}}href"
SERIES_COLOURS = tuple(f"#0101{place:02x}" for place in range(10))  # stand for the page's --c0 ... --c9
_COLOURS = {
    "#000000": "currentColor",
    "#ffffff": "var(--surface)",
    "#dddddd": "var(--grid)",
    "#cccccc": "var(--grid)",
    "#57606a": "var(--soft)",
    "#d55e00": "var(--c0)",  # the picture's teacher, baseline and candidates
    "#777777": "var(--c1)",
    "#0072b2": "var(--c2)",
    **{colour: f"var(--c{place})" for place, colour in enumerate(SERIES_COLOURS)},
}
_DECIMALS = re.compile(r"(\.\d\d)\d+")  # a hundredth of a point is enough
_COLOUR = re.compile("|".join(_COLOURS))


def inline_svg(
    drawing: str,
    name: str,
    says: str,
    marks: Mapping[str, Sequence[str]],
    attributes: Mapping[str, Mapping[str, str]] | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The `<svg>` element of `drawing`, to be put into a page as it is.

    name: begins each of its ids, so that several drawings can stand in one page. says: what a screen reader calls it.
    marks: group id -> what each marker of the group says, in the order they were drawn; they can be pointed at and
    reached by keyboard. attributes: group id -> further attributes. choices: group id -> the choice that each of its
    lines belongs to; the first choice is shown. Texts of whatever kind are escaped.
    """
    root = ElementTree.fromstring(drawing)  # noqa: S314 - matplotlib's own writing
    for unused in [*root.findall(f"{{{_SVG}}}metadata"), *_styles(root)]:
        root.remove(unused)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "group", "aria-label": says, "class": "drawing"}
    groups = {element.get("id"): element for element in root.iter(f"{{{_SVG}}}g")}
    for group, values in (attributes or {}).items():
        if group in groups:
            groups[group].attrib |= values
    for group, texts in marks.items():
        _speak(groups.get(group), texts)
    for group, picks in (choices or {}).items():
        _offer(groups.get(group), picks)
    for element in root.iter():
        _rewrite(element, name)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _LINKS)
    return ElementTree.tostring(root, encoding="unicode")


def _styles(root: Element) -> Iterable[Element]:
    """The page has its own style sheet, and allows no other."""
    return [part for part in root.findall(f"{{{_SVG}}}defs") if part.find(f"{{{_SVG}}}style") is not None]


def _speak(group: Element | None, texts: Sequence[str]) -> None:
    markers = [] if group is None else list(group.iter(f"{{{_SVG}}}use"))
    for marker, text in zip(markers, texts, strict=False):
        marker.attrib |= {"class": "mark", "role": "img", "aria-label": text, "tabindex": "-1"}


def _offer(group: Element | None, picks: Sequence[str]) -> None:
    lines = [] if group is None else [it for it in group.iter() if it.tag in (f"{{{_SVG}}}path", f"{{{_SVG}}}use")]
    for line, pick in zip(lines, picks, strict=False):
        line.attrib |= {"class": "choice shown" if pick == picks[0] else "choice", "data-pick": pick}


def _rewrite(element: Element, name: str) -> None:
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.attrib['id']}")
    if element.get(_HREF, "").startswith("#"):
        element.set(_HREF, f"#{name}-{element.attrib[_HREF][1:]}")
    if "clip-path" in element.attrib:
        element.set("clip-path", element.attrib["clip-path"].replace("url(#", f"url(#{name}-"))
    if "d" in element.attrib:
        element.set("d", _DECIMALS.sub(r"\1", element.attrib["d"]))
    if "style" in element.attrib:
        element.set("style", _COLOUR.sub(lambda found: _COLOURS[found.group()], element.attrib["style"]))
