"""The overview as tables of formatted strings: the terminal and data.md show the same ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compress.data.lengths import CUT_SHARE, STEP, Cut, SplitLengths, TokenFacts
from compress.data.overview import Overview, Pair, SplitFacts, Together
from eval.report.comparison import MISSING

_MATRIX_LABELS = 10  # with more labels the matrix is wider than a page, and the notable pairs stand alone
_NUMBERED = "Rows are numbered from 1 in the split as it was read; those held out or dropped are not counted."


@dataclass(frozen=True)
class Section:
    """A table with its title, and lines below it; it may have lines alone. words: columns that hold no numbers."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...] = ()
    words: tuple[int, ...] = (0,)


def sections(found: Overview) -> tuple[Section, ...]:
    """Everything worth showing, in the order in which it is read."""
    recurring = _recurring(found)
    return (
        _splits(found),
        _values(found) if found.task == "regression" else _labels(found),
        *_labels_together(found),
        *(_tokens(facts) for facts in found.tokens),
        recurring,
        _odd(found, (_NUMBERED,) if not recurring.rows else ()),
    )


def share_text(share: float) -> str:
    """`9.8 %`; below 1 % with two decimals, so that a rare label shows."""
    if 0 < share < 0.00005:
        return "under 0.01 %"
    return f"{100 * share:.{1 if share >= 0.01 else 2}f} %" if share else "0 %"


def _of(count: int, rows: int) -> str:
    """`196 (9.8 %)`, and a plain 0."""
    return f"{count:,} ({share_text(count / rows)})" if count else "0"


def _splits(found: Overview) -> Section:
    bare = found.task == "multi_label"  # elsewhere each row has its class or its values
    headings = ("split", "rows", *(["without a label"] if bare else []), "characters p50", "p95", "longest")
    return Section("rows", headings, tuple(_split_row(it, bare) for it in found.splits))


def _split_row(split: SplitFacts, bare: bool) -> tuple[str, ...]:
    without = MISSING if split.no_label is None else _of(split.no_label, split.rows)
    characters = (split.characters.p50, split.characters.p95, split.characters.longest)
    return split.name, f"{split.rows:,}", *([without] if bare else []), *(f"{count:,}" for count in characters)


def _labels(found: Overview) -> Section:
    labelled = [it for it in found.splits if it.positives]
    rows = [(label, *(_of(it.positives[label], it.rows) for it in labelled)) for label in found.labels]
    what = "rows of each class" if found.task == "single_label" else "rows of each label"
    lines = tuple(_constant_answer(it) for it in labelled) if found.task == "single_label" else ()
    return Section(what, ("label", *(it.name for it in labelled)), tuple(rows), lines)


def _constant_answer(split: SplitFacts) -> str:
    label, count = max(split.positives.items(), key=lambda item: item[1])
    return f"{split.name}: {label!r}, whatever the text, would be right on {share_text(count / split.rows)}"


def _values(found: Overview) -> Section:
    rows = [
        (target, it.name, *(f"{value:.4g}" for value in (spread.least, spread.mean, spread.most, spread.deviation)))
        for target in found.labels
        for it in found.splits
        if (spread := it.spreads.get(target)) is not None
    ]
    return Section("values", ("target", "split", "least", "mean", "most", "deviation"), tuple(rows), words=(0, 1))


def _labels_together(found: Overview) -> Iterator[Section]:
    if found.together is None:
        return
    together, labels = found.together, found.labels
    notable = tuple(map(_pair, together.notable))
    title = "labels together in train"
    if len(labels) <= _MATRIX_LABELS:
        rows = tuple((label, *_shares(together, row)) for row, label in enumerate(labels))
        yield Section(f"{title}: share of the row's label that has the column's too", ("", *labels), rows, notable)
    elif notable:
        yield Section(f"{title}: the pairs furthest from chance", (), (), notable)


def _pair(pair: Pair) -> str:
    return (
        f"{pair.rare} with {pair.common}: {pair.rows:,} rows, {share_text(pair.share)} of {pair.rare} "
        f"(phi {pair.phi:.2f})"
    )


def _shares(together: Together, row: int) -> Iterator[str]:
    own = together.rows[row][row]
    for column, count in enumerate(together.rows[row]):
        yield MISSING if column == row or not own else f"{100 * count / own:.0f} %"


def _tokens(facts: TokenFacts) -> Section:
    limits = stages_by_limit(facts)
    cuts = {cut.max_tokens: cut for cut in facts.cuts.values()}
    headings = ("split", "p50", "p90", "p95", "p99", "longest", *(f"over {limit}" for limit in limits))
    rows = [
        (name, *_percentiles(it), *(longer_text(facts, cuts[limit], name) for limit in limits))
        for name, it in facts.splits.items()
    ]
    lines = [f"max_tokens {limit}: {', '.join(stages)}{_lost(facts, cuts[limit])}" for limit, stages in limits.items()]
    lines += _counted_lines(facts)
    if facts.suggested is not None:
        lines.append(_suggestion(facts.suggested, facts.positions))
    return Section(lengths_title(facts), headings, tuple(rows), tuple(lines))


def lengths_title(facts: TokenFacts) -> str:
    """Whose tokens they are, or would have been."""
    return f"{'tokens' if facts.unit == 'tokens' else 'words, in place of tokens'} by {facts.tokenizer}"


def longer_text(facts: TokenFacts, cut: Cut, split: str) -> str:
    """The share of a split's texts that are longer than a limit."""
    return f"{'' if facts.unit == 'tokens' else 'at least '}{share_text(cut.texts[split])}"


def stages_by_limit(facts: TokenFacts) -> dict[int, list[str]]:
    """Each max_tokens, with the stages that have it."""
    limits: dict[int, list[str]] = {}
    for stage, cut in facts.cuts.items():
        limits.setdefault(cut.max_tokens, []).append(stage)
    return limits


def _percentiles(lengths: SplitLengths) -> tuple[str, ...]:
    return tuple(f"{it:,}" for it in (lengths.p50, lengths.p90, lengths.p95, lengths.p99, lengths.longest))


def _lost(facts: TokenFacts, cut: Cut) -> str:
    """Of train, which every recipe has."""
    return f"; {share_text(cut.tokens['train'])} of the {facts.unit} of train lie beyond it"


def _counted_lines(facts: TokenFacts) -> Iterator[str]:
    if facts.note is not None:
        yield facts.note
    drawn = [f"{it.counted:,} of {it.rows:,} {name}" for name, it in facts.splits.items() if it.counted < it.rows]
    if drawn:
        yield f"counted on a sample ({', '.join(drawn)}); the longest was sought among all"


def _suggestion(cut: Cut, positions: int | None) -> str:
    few = positions is not None and positions < cut.max_tokens
    return (
        f"suggested max_tokens: {cut.max_tokens}, the smallest multiple of {STEP} that fewer than "
        f"{100 * CUT_SHARE:g} % of train and unlabeled are longer than ({share_text(cut.texts['train'])} of train)"
        f"{f'; the model has {positions} positions, so long_text is for the rest' if few else ''}"
    )


def _recurring(found: Overview) -> Section:
    title = "texts that recur (case and whitespace aside)"
    sizes = {it.name: it.rows for it in found.splits}
    rows = [
        (
            it.split,
            "itself" if it.other == it.split else it.other,
            _of(it.rows, sizes[it.split]),
            MISSING if it.other_labels is None else f"{it.other_labels:,}",
            _rows(it.first, it.rows),
        )
        for it in found.recurring
        if it.rows
    ]
    if not rows:
        return Section(title, (), (), ("none, neither inside a split nor between two",))
    headings = ("rows of", "that stand in", "rows", "with other labels", "the first")
    return Section(title, headings, tuple(rows), (_NUMBERED,), words=(0, 1, 4))


def _rows(first: Sequence[int], count: int) -> str:
    return ", ".join(map(str, first)) + (", …" if count > len(first) else "")


def _odd(found: Overview, lines: tuple[str, ...]) -> Section:
    rows = [
        (split.name, it.what, f"{it.rows:,}", _rows(it.first, it.rows))
        for split in found.splits
        for it in split.oddities
    ]
    if not rows:
        return Section("odd rows", (), (), ("none: no text is empty, broken or far longer than the rest",))
    return Section("odd rows", ("split", "what", "rows", "the first"), tuple(rows), lines, words=(0, 1, 3))
