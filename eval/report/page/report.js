"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Sections into the contents.
for (const section of all("main section")) {
  const link = Object.assign(document.createElement("a"), { href: `#${section.id}` });
  link.textContent = section.querySelector("h2").textContent;
  const item = document.createElement("li");
  item.append(link);
  document.getElementById("contents").append(item);
}

// Sorting: numbers from the greatest, words from A; what is undefined stays last.
function sortBy(table, column) {
  const heads = all("thead th", table), body = table.tBodies[0];
  const numbers = [...body.rows].some((row) => "sort" in row.cells[column].dataset);
  const before = heads[column].ariaSort;
  const rising = before === "none" ? !numbers : before === "descending";
  const key = (row) => {
    const cell = row.cells[column];
    return numbers ? ("sort" in cell.dataset ? Number(cell.dataset.sort) : null) : cell.textContent.trim();
  };
  const compare = (one, two) => (numbers ? one - two : one.localeCompare(two, undefined, { numeric: true }));
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort(([one], [two]) => (one === null) - (two === null) || (one === null ? 0 : (rising ? 1 : -1) * compare(one, two)));
  body.append(...rows.map(([, row]) => row));
  heads.forEach((head, place) => (head.ariaSort = place !== column ? "none" : rising ? "ascending" : "descending"));
}
for (const table of all("table.sortable")) {
  all("thead button", table).forEach((button, column) => button.addEventListener("click", () => sortBy(table, column)));
}

// Names of marks: at the pointer, and at the mark that has the keyboard's focus.
const tip = document.getElementById("tip");
let told = null;
function tell(mark) {
  told = mark;
  tip.textContent = mark.getAttribute("aria-label");
  tip.hidden = false;
  const at = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
  tip.hidden = at.bottom < 0 || at.top > innerHeight;
  tip.style.left = `${Math.max(4, Math.min(at.right + 8, innerWidth - own.width - 4))}px`;
  tip.style.top = `${Math.max(4, at.top - own.height - 6)}px`;
}
function hush() {
  told = null;
  tip.hidden = true;
}
for (const drawing of all("svg.drawing")) {
  const marks = all(".mark", drawing);
  if (marks.length) marks[0].setAttribute("tabindex", "0");
  for (const mark of marks) {
    mark.addEventListener("pointerenter", () => tell(mark));
    mark.addEventListener("pointerleave", hush);
    mark.addEventListener("focus", () => tell(mark));
    mark.addEventListener("blur", hush);
  }
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const here = marks.indexOf(document.activeElement);
    if (event.key === "Escape") hush();
    if (!step || here < 0) return;
    event.preventDefault();
    const next = marks[(here + step + marks.length) % marks.length];
    marks[here].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
}
// The focus itself scrolls the page to its mark, so the name goes with it; capture: a wide plot scrolls by itself.
const follow = () => (told && told === document.activeElement ? tell(told) : hush());
addEventListener("scroll", follow, { passive: true, capture: true });

// One candidate alone.
for (const legend of all(".legend")) {
  const section = legend.closest("section");
  legend.addEventListener("click", (event) => {
    const pressed = event.target.closest("button");
    if (!pressed) return;
    const only = pressed.getAttribute("aria-pressed") === "false" ? pressed.dataset.series : null;
    for (const button of all("button", legend)) button.setAttribute("aria-pressed", String(button === pressed && only !== null));
    for (const part of all(".series", section)) part.classList.toggle("dim", only !== null && part.dataset.series !== only);
  });
}

// Curves by choice.
for (const box of all(".choosing")) {
  const [candidate, label] = all("select", box);
  const choose = () => {
    const pick = `${candidate.value}-${label.value}`;
    let any = false;
    for (const part of all("[data-pick]", box)) {
      part.classList.toggle("shown", part.dataset.pick === pick);
      any ||= part.dataset.pick === pick;
    }
    box.querySelector(".none").classList.toggle("shown", !any);
  };
  box.addEventListener("change", choose);
  choose(); // a page that is loaded again may keep what was selected
}

// Texts that may offend.
function unveil(button, shown) {
  button.setAttribute("aria-expanded", String(shown));
  const text = button.querySelector("span");
  shown ? text.removeAttribute("aria-hidden") : text.setAttribute("aria-hidden", "true");
  const name = button.getAttribute("aria-label") ?? button.dataset.name;
  button.dataset.name = name;
  shown ? button.removeAttribute("aria-label") : button.setAttribute("aria-label", name);
}
const veils = all(".veil");
for (const button of veils) button.addEventListener("click", () => unveil(button, button.getAttribute("aria-expanded") === "false"));
const reveal = document.getElementById("reveal");
reveal?.addEventListener("click", () => {
  const shown = reveal.getAttribute("aria-pressed") === "false";
  reveal.setAttribute("aria-pressed", String(shown));
  reveal.textContent = shown ? "Hide all texts" : "Show all texts";
  veils.forEach((button) => unveil(button, shown));
});

// On paper nothing can be unfolded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = all("details:not([open])");
  folded.forEach((it) => (it.open = true));
});
addEventListener("afterprint", () => folded.splice(0).forEach((it) => (it.open = false)));
