"""Measures what products cost and save, and lets the search for the fewest in fp32 judge mixes on validation rows."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Decision, Floats
from compress.batches import pieces_logits
from compress.context import Context
from compress.errors import DataError
from compress.inputs import Inputs
from compress.pieces import Pieces, Reader
from compress.recipe.data import Task
from compress.recipe.quantizing import Fallback, Int8Dynamic, Int8Static
from compress.runtime.onnx import open_session, run_session
from compress.stages.quantize.calibrate import calibration_batches, drawn_rows
from compress.stages.quantize.fallback import Found, Losses, label_divergence, losses, search
from compress.stages.quantize.mixed import Product, TwoForms, mixed
from compress.stages.quantize.node_times import node_times, time_of
from compress.tokenizer import open_tokenizer

# of more rows so many are drawn, with up to 200 positives of every label, or as few as leave time for eight mixes
_JUDGED, _LEAST_JUDGED, _POSITIVES = 5_000, 1_000, 200
_MIXES = 8
# on these the first guess at a text's time rests
_TRIAL = 200
_PROFILED_BATCHES = 6
# what a product saves is at least this share of its time: noise must not make it infinitely dear to keep
_LEAST_SAVING = 0.05
_FEWEST_TEXTS = 16


@dataclass(frozen=True)
class Fallen:
    """Names of the products that stay in fp32, and notes on them."""

    products: tuple[str, ...]
    notes: tuple[str, ...]


def fall_back(
    stage: Int8Dynamic | Int8Static, config: Fallback, forms: TwoForms, inputs: Inputs, context: Context
) -> Fallen:
    """Finds the fewest products that must stay in fp32. Raises DataError where there are no validation rows."""
    ends = time.monotonic() + 60 * config.minutes
    labels, whole = inputs.task.labels, (inputs.followed().path / "model.onnx").read_bytes()
    trial = _Bench.of(stage.id, inputs, context.seed, _TRIAL)
    started = time.monotonic()
    trial.probabilities(whole, trial.validation)
    per_text = (time.monotonic() - started) / len(trial.targets)
    bench = _Bench.of(stage.id, inputs, context.seed, _judged(config, per_text))

    def tell(what: str, done: int, total: int) -> None:
        context.progress(f"{stage.id}: fallback, {what}", done, total)

    tell("fp32 and int8 on validation", 0, 1)
    before = bench.probabilities(whole, bench.validation)
    limits = (config.roc_auc, config.f1)
    known: dict[frozenset[int], Losses] = {}

    def judge(kept: Collection[int]) -> Losses:
        chosen = frozenset(kept)
        if chosen not in known:
            after = bench.probabilities(_bytes(forms, chosen), bench.validation)
            known[chosen] = losses(bench.targets, before, after, bench.thresholds, limits)
            tell("mixes", len(known), len(forms.products) + 1)
        return known[chosen]

    plain = judge(())
    if plain.holds:
        nearest = f"; {labels[plain.label]} comes nearest: {plain.said(plain.label)}" if plain.worst > 0 else ""
        held = f"fallback: every label holds in int8, and no product stays in fp32{nearest}"
        return Fallen((), (*bench.notes, held))
    texts = _texts(inputs, _affordable(config, per_text, len(forms.products)), context.seed)
    midway = (time.monotonic() + ends) / 2
    costs = _costs(bench, forms, texts, tell, lambda: time.monotonic() < midway)
    savings = _savings(bench, forms, texts)
    found = search(costs, savings, judge, lambda: time.monotonic() < ends)
    chosen = tuple(forms.products[number].name for number in sorted(found.kept))
    return Fallen(chosen, (*bench.notes, said(found, forms.products, labels, costs, plain)))


def said(
    found: Found, products: Sequence[Product], labels: Sequence[str], costs: NDArray[np.float64], plain: Losses
) -> str:
    """One note: how many products stay in fp32, which, and the product and the label that bind."""
    names = ", ".join(str(products[number]) for number in sorted(found.kept)) or "none"
    count = f"{len(found.kept)} of {len(products)} products"
    early = ", when its time was over" if found.ended == "time" else ""
    was = f"in plain int8 {labels[plain.label]} was worst: {plain.said(plain.label)}"
    if not found.losses.holds:
        label = found.losses.label
        rest = [number for number in range(len(products)) if number not in found.kept]
        dearest = max(rest, key=lambda it: float(costs[it, label]), default=None)
        node = "embeddings alone" if dearest is None else f"{products[dearest]} costs it most"
        return (
            f"warning: fallback: no mix that holds every label was found among {found.tried}{early}; kept is the best, "
            f"with {count} in fp32 ({names}). {labels[label]} binds: {found.losses.said(label)}; of what is int8 "
            f"{node}; {was}"
        )
    bound = ""
    if found.binding is not None:
        product, worse = found.binding
        bound = (
            f"; {products[product]} and {labels[worse.label]} bind: with this product in int8 {worse.said(worse.label)}"
        )
    label = found.losses.label
    return (
        f"fallback: {count} stay in fp32 ({names}), and every label holds, {labels[label]} nearest: "
        f"{found.losses.said(label)}{bound}; {was}; {found.tried} mixes tried{early}"
    )


@dataclass(frozen=True)
class _Bench:
    """What mixes are run on and judged by. validation: the judged texts, cut into tokens. targets: theirs (N, L)."""

    tokenizer: Reader
    task: Task
    decision: Decision
    validation: tuple[Pieces, ...]
    targets: NDArray[Any]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, stage: str, inputs: Inputs, seed: int, most: int) -> "_Bench":
        parent, validation = inputs.followed(), inputs.splits().validation
        if not len(validation):
            raise DataError(
                f"stages.{stage}.fallback: it holds every label within a tolerance on validation rows, and there are "
                "none. Give data.validation, or remove fallback."
            )
        rows = drawn_rows(validation, most, seed, _POSITIVES)
        tokenizer = open_tokenizer(parent.path, parent.manifest.token_limit, parent.manifest.long_text)
        runs = tuple(tokenizer.runs([validation.texts[row] for row in rows]))
        notes = () if len(rows) == len(validation) else (f"fallback: judged on {len(rows):,} validation rows",)
        return cls(tokenizer, inputs.task, parent.decision(), runs, validation.targets[rows], notes)

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        return self.decision.thresholds

    def probabilities(self, model: bytes, texts: Sequence[Pieces]) -> Floats:
        """Calibrated probabilities (N, L) of an ONNX model."""
        run = partial(run_session, open_session(model, "cpu", 0))
        logits = pieces_logits(run, texts, self.tokenizer, len(self.task.labels))
        return self.decision.probabilities(logits, self.task)


def _bytes(forms: TwoForms, kept: Collection[int]) -> bytes:
    names = {forms.products[number].name for number in kept}
    return bytes(mixed(forms.whole, forms.small, names).SerializeToString())


def _judged(config: Fallback, per_text: float) -> int:
    """On how many rows mixes are judged. per_text: seconds of the fp32 model."""
    return max(_LEAST_JUDGED, min(_JUDGED, int(30 * config.minutes / max(_MIXES * per_text, 1e-9))))


def _affordable(config: Fallback, per_text: float, products: int) -> int:
    """How many texts can be asked of every product in half of the time. per_text: seconds of the fp32 model."""
    return max(_FEWEST_TEXTS, min(config.rows, int(30 * config.minutes / max(per_text * products, 1e-9))))


def _texts(inputs: Inputs, count: int, seed: int) -> tuple[str, ...]:
    """Unlabeled texts drawn by chance, of train where there are none."""
    splits = inputs.splits()
    texts = splits.unlabeled or splits.train.texts
    order = np.random.default_rng(seed).permutation(len(texts))[:count]
    return tuple(texts[row] for row in sorted(order.tolist()))


def _costs(
    bench: _Bench,
    forms: TwoForms,
    texts: Sequence[str],
    tell: Callable[[str, int, int], None],
    in_time: Callable[[], bool],
) -> NDArray[np.float64]:
    """What int8 of each product alone costs each label: divergence from all products in fp32, (P, L).

    Products for which there was no time cost what the others do on average.
    """
    runs = tuple(bench.tokenizer.runs(list(texts)))
    every = frozenset(range(len(forms.products)))
    before = bench.probabilities(_bytes(forms, every), runs)
    rows: list[NDArray[np.float64]] = []
    for number in range(len(forms.products)):
        if rows and not in_time():
            break
        tell("what each product costs", number, len(forms.products))
        rows.append(label_divergence(before, bench.probabilities(_bytes(forms, every - {number}), runs)))
    return np.array(rows + [np.mean(rows, axis=0)] * (len(every) - len(rows)))


def _savings(bench: _Bench, forms: TwoForms, texts: Sequence[str]) -> NDArray[np.float64]:
    """Seconds that int8 saves each product (P,), from ONNX Runtime's profile of both forms on the same batches."""
    batches = calibration_batches(texts, bench.tokenizer)
    batches = batches[:: max(1, len(batches) // _PROFILED_BATCHES)]
    whole, small = (
        node_times(model.SerializeToString(), batches)
        for model in (mixed(forms.whole, forms.small, {it.name for it in forms.products}), forms.small)
    )
    return _saved(np.array([(time_of(it.name, whole), time_of(it.name, small)) for it in forms.products]))


def _saved(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """times: seconds in fp32 and in int8 (P, 2). One that is not in the profile counts as the others do on average."""
    known = times[:, 0] > 0
    before = np.where(known, times[:, 0], times[known, 0].mean() if known.any() else 1.0)
    saved = np.maximum(before - times[:, 1], _LEAST_SAVING * before)
    return np.asarray(np.where(known, saved, saved[known].mean() if known.any() else 1.0))
