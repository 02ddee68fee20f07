"""What can be judged: anything with `labels` and `predict_proba(texts)`, or `predict_values(texts)` for a regression.

No torch, no ONNX Runtime, no compress.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eval.errors import InvalidInputError

Floats = NDArray[np.float32]
Targets = NDArray[np.int8]


@runtime_checkable
class Predictor(Protocol):
    """A classifier as the judge sees it. Tokenization is inside; what returns lies in host memory."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The L label names, in the order of the columns of `predict_proba`."""

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Calibrated probabilities in [0, 1], float32 (N, L)."""


class ValuePredictor(Protocol):
    """A regression as the judge sees it: numbers in place of probabilities. What has `predict_proba` is none."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the L targets, in the order of the columns of `predict_values`."""

    def predict_values(self, texts: Sequence[str]) -> Floats:
        """Finite numbers in the targets' own units, float32 (N, L)."""


@runtime_checkable
class InTwoSteps(Protocol):
    """A predictor that says where tokenization ends, so that the two can be timed apart; `predict` need not use it."""

    def tokenize(self, texts: Sequence[str]) -> Any:
        """What the model reads of the texts, in whatever shape `run` takes it."""

    def run(self, tokens: Any) -> Floats:
        """What the model makes of it, float32 (N, L)."""


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval. All None where the number is undefined: never NaN, never a made-up zero."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LabelledTexts:
    """N texts with their labels.

    targets: (N, L) int8, 1 where the label holds; of a regression float32, the numbers themselves, and `labels` are
    what they are called. columns: N cells each, by name; what else is known of the rows, for slices of a test set.
    Raises InvalidInputError if the shapes do not fit, a label's target is neither 0 nor 1, or a number is not finite.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    targets: NDArray[Any]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, cells in self.columns.items():
            if len(cells) != len(self.texts):
                raise InvalidInputError(f"column {name!r} has {len(cells)} cells for {len(self.texts)} texts")
        expected = (len(self.texts), len(self.labels))
        if self.targets.shape != expected:
            raise InvalidInputError(f"targets have shape {self.targets.shape}; {expected} (texts, labels) was expected")
        if self.is_regression:
            self._check(np.isfinite(self.targets), "a finite number")
        elif self.targets.size and not 0 <= self.targets.min() <= self.targets.max() <= 1:  # no copy of a million rows
            self._check((self.targets == 0) | (self.targets == 1), "0 or 1")

    def _check(self, good: NDArray[np.bool_], wanted: str) -> None:
        if not good.all():
            row, column = (int(place) for place in np.argwhere(~good)[0])
            raise InvalidInputError(
                f"row {row} has {self.targets[row, column]} for {self.labels[column]}; {wanted} was expected"
            )

    @property
    def is_regression(self) -> bool:
        """Whether the targets are numbers to come near to, not labels that hold or do not."""
        return bool(np.issubdtype(self.targets.dtype, np.floating))

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Footprint:
    """What a model weighs; counted by the maker from the files, recorded by the judge.

    size_bytes: every file needed to predict (model, tokenizer, configuration). model_bytes: the weights file(s) alone.
    size_gzip_bytes: the same files as size_bytes, gzip level 6. parameters: numbers in the weights. zeros_share: share
    of parameters that are exactly zero, in [0, 1].
    """

    size_bytes: int
    model_bytes: int
    size_gzip_bytes: int
    parameters: int
    zeros_share: float


@dataclass(frozen=True)
class OlderCpus:
    """What becomes of int8 products on CPUs without VNNI; counted by the maker on real texts, recorded by the judge.

    Kernels of x86 CPUs with AVX2 or AVX-512 alone multiply u8 activations by s8 weights and add the products in pairs,
    in 16 bits (vpmaddubsw): a sum beyond int16 is cut, and the answer is another than where VNNI adds in 32 bits.

    texts: each read alone. products: matrix products of u8 and s8 in the model; without any, nothing can be cut.
    pair_sums: how many such sums were made; beyond: of them beyond int16. worst: the product with the largest share of
    them, and that share; None where none is. reduce_range: whether weights in 7 bits, which cannot overflow, are
    needed for the same answers there.
    """

    texts: int
    products: int
    pair_sums: int
    beyond: int
    worst: str | None
    worst_share: float | None
    reduce_range: bool


@dataclass(frozen=True)
class Candidate:
    """A model opened one way (device, runtime, threads), ready to be judged.

    id: the stage's id. stage: the stage's type. thresholds: (L,) for multi-label; None for single-label, where the
    decision is the argmax, and for a regression, where there is none. The same id may come several times, once for
    each way it was opened. Raises InvalidInputError for a regression with thresholds, and where one is not a finite
    number: no probability reaches NaN, so it would decide nothing.
    """

    id: str
    stage: str
    format: str
    runtime: str
    device: str
    threads: int
    footprint: Footprint
    thresholds: Floats | None
    predictor: Predictor | ValuePredictor

    def __post_init__(self) -> None:
        if self.thresholds is None:
            return
        if self.is_regression:
            raise InvalidInputError(f"{self.id}: a regression decides nothing, so it has no thresholds")
        thresholds = _floats(self.thresholds, f"{self.id}: thresholds are no numbers", "float32 (labels,)")
        bad = np.flatnonzero(~np.isfinite(thresholds))
        if bad.size:
            raise InvalidInputError(
                f"{self.id}: the threshold of label number {bad[0]} is {thresholds.flat[bad[0]]}; a finite number was "
                "expected, or None for all where the highest probability decides"
            )
        object.__setattr__(self, "thresholds", thresholds)  # a list will do

    @property
    def is_regression(self) -> bool:
        """Whether it gives numbers, not probabilities."""
        return not isinstance(self.predictor, Predictor)

    @property
    def predict(self) -> Callable[[Sequence[str]], Floats]:
        """From texts to what the predictor answers, float32 (N, L)."""
        predictor = self.predictor
        return predictor.predict_proba if isinstance(predictor, Predictor) else predictor.predict_values


def check_probabilities(
    probabilities: NDArray[Any], *, rows: int, labels: int, candidate: str, first_row: int = 0
) -> Floats:
    """What a candidate answered, as float32 (rows, labels), once it is seen to be probabilities.

    first_row: where these rows start in the whole set, so that the error names the row a user can look up (from 0).
    Raises InvalidInputError naming the candidate, and the first bad row: no numbers, wrong shape, NaN, or outside
    [0, 1].
    """
    array = _shaped(probabilities, rows, labels, f"{candidate}: predict_proba", first_row)
    good = (array >= 0) & (array <= 1)  # False for NaN too
    _check_all(good, array, f"{candidate}: predict_proba", first_row, "a probability in [0, 1]")
    return array


def check_values(values: NDArray[Any], *, rows: int, labels: int, candidate: str, first_row: int = 0) -> Floats:
    """What a regression answered, as float32 (rows, labels), once it is seen to be finite.

    first_row and errors: as for check_probabilities.
    """
    array = _shaped(values, rows, labels, f"{candidate}: predict_values", first_row)
    _check_all(np.isfinite(array), array, f"{candidate}: predict_values", first_row, "a finite number")
    return array


def _shaped(answer: NDArray[Any], rows: int, labels: int, who: str, first_row: int) -> Floats:
    asked = f"for rows {first_row} to {first_row + rows - 1}"
    array = _floats(answer, f"{who} gave no numbers {asked}", "float32 (texts, labels) in host memory")
    if array.shape != (rows, labels):
        raise InvalidInputError(
            f"{who} gave shape {array.shape} {asked}; {(rows, labels)} (texts, labels) was expected"
        )
    return array


def _floats(given: Any, problem: str, wanted: str) -> Floats:
    try:
        return np.asarray(given, dtype=np.float32)
    except (RuntimeError, TypeError, ValueError) as error:  # as torch says it of a tensor with a gradient, or on a GPU
        raise InvalidInputError(f"{problem}: {error}; {wanted} was expected") from error


def _check_all(good: NDArray[np.bool_], array: Floats, who: str, first_row: int, wanted: str) -> None:
    if not good.all():
        row, column = (int(place) for place in np.argwhere(~good)[0])
        raise InvalidInputError(
            f"{who} gave {array[row, column]} for row {first_row + row}, label number {column}; {wanted} was expected"
        )
