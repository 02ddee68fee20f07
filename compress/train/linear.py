"""Fits a linear model of a text's words and runs of words: to labels, or to teachers' answers too."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import torch
from numpy.typing import NDArray

from compress import processes
from compress.bag import LinearBag, linear_bag
from compress.context import Context
from compress.inputs import Inputs
from compress.ngrams.tokenizer import NgramTokenizer, Terms
from compress.ngrams.words import frequent_terms
from compress.pieces import TokenIds
from compress.recipe.data import Task
from compress.recipe.students import LinearShape
from compress.train.convex import Aim, Floats, Linear, best_penalty, first_guess, fit, largest, loss_of
from compress.train.transfer import TransferSet
from eval.metrics import macro, roc_auc
from eval.regression import r2

# weight of the loss over all rows against that of the penalty, tried in this order; the first cuts the terms
_CHOICES_OF_C = (1.0, 4.0, 16.0, 64.0)
_C_OF_CUT = 16.0
_CUT_STEPS = 40


@dataclass(frozen=True)
class Lesson:
    """N texts and the aims of their logits. Each text's weight is its share of all; pos_weight comes on top.

    rows: what the texts' weights summed to before. documents: texts in which terms are counted, the first ones; single
    words follow them.
    """

    texts: tuple[str, ...]
    aims: tuple[Aim, ...]
    rows: float
    documents: int


@dataclass(frozen=True)
class Fitted:
    """A fitted model and its tokenizer, which lies in the stage's folder already."""

    model: LinearBag
    tokenizer: NgramTokenizer


def labels_lesson(texts: tuple[str, ...], targets: Floats, task: Task, pos_weight: Floats | None = None) -> Lesson:
    """Labelled rows, of a regression with what outputs should be. targets: (N, L); pos_weight: of positives (L,)."""
    weights = np.full((len(texts), 1), 1 / len(texts))
    if pos_weight is not None:
        of_label = np.where(targets > 0, pos_weight, 1.0)
        weights = weights * (of_label if task.type == "multi_label" else targets @ pos_weight[:, None])
    return Lesson(texts, (Aim(targets, weights),), float(len(texts)), len(texts))


def taught_lesson(
    transfer: TransferSet, asked: TransferSet | None, task: Task, hardness: float, temperature: float, weight: float
) -> Lesson:
    """(1 - hardness) x labels + hardness x T^2 x distillation on labelled rows, the second term alone on others.

    asked: single words with their answers, which count `weight` each.
    """
    sets = [transfer, asked] if asked else [transfer]
    answers = np.concatenate([part.answers for part in sets]).astype(np.float64)
    labelled = np.concatenate([part.labelled for part in sets])[:, None] > 0
    rows = np.concatenate([np.full((len(part.texts), 1), 1.0 if part is transfer else weight) for part in sets])
    shares = rows / rows.sum()
    degrees = 1.0 if task.type == "regression" else temperature
    aims = [Aim(_soft(answers / degrees, task), shares * np.where(labelled, hardness, 1.0), degrees)]
    if hardness < 1:
        targets = np.concatenate([part.targets for part in sets])
        aims.append(Aim(targets, shares * np.where(labelled, 1 - hardness, 0.0)))
    texts = tuple(text for part in sets for text in part.texts)
    return Lesson(texts, tuple(aims), float(rows.sum()), len(transfer.texts))


def _soft(logits: Floats, task: Task) -> Floats:
    from scipy.special import expit, softmax

    match task.type:
        case "multi_label":
            return np.asarray(expit(logits))
        case "single_label":
            return np.asarray(softmax(logits, axis=1))
        case "regression":
            return logits
        case _ as unknown:
            assert_never(unknown)


def single_words(texts: Sequence[str], shape: LinearShape) -> tuple[str, ...]:
    """Every word of the texts, those of most texts first."""
    return frequent_terms(texts, 1, shape.max_tokens, 1)


def candidate_terms(texts: Sequence[str], shape: LinearShape, asked: bool) -> tuple[str, ...]:
    """The terms that the weights choose from: those of min_count texts, and every word that was asked."""
    kept = frequent_terms(texts, shape.ngrams, shape.max_tokens, shape.min_count)
    if not asked:
        return kept or frequent_terms(texts, shape.ngrams, shape.max_tokens, 1)  # a handful of texts may share none
    return tuple(dict.fromkeys((*kept, *single_words(texts, shape))))


def fit_linear(
    shape: LinearShape,
    terms: tuple[str, ...],
    lesson: Lesson,
    inputs: Inputs,
    context: Context,
    folder: Path,
    stage: str,
) -> Fitted:
    """Cuts `terms` to the max_features of largest weight, fits these, and saves their tokenizer in `folder`.

    How strongly weights are held down is chosen on validation, by macro ROC-AUC or a regression's R².
    """
    if processes.number():
        raise processes.TookPart
    context.progress(f"{stage}: fitting", 0, 2)
    encoded = _encoded(lesson.texts, terms, shape)
    idf = _idf(encoded[: lesson.documents], len(terms))
    kept = _cut(shape, encoded, idf, lesson, inputs.task.type)
    context.progress(f"{stage}: fitting", 1, 2)
    tokenizer = NgramTokenizer(Terms(tuple(terms[place] for place in kept), shape.ngrams), shape.max_tokens)
    idf = idf[kept]
    linear = _chosen(features_of(tokenizer.encode(lesson.texts), idf), idf, tokenizer, lesson, inputs)
    tokenizer.save(folder)
    context.progress(f"{stage}: fitting", 2, 2)
    return Fitted(model_of(linear, idf, inputs), tokenizer)


def features_of(encoded: Sequence[TokenIds], idf: NDArray[np.float32]) -> Any:
    """SciPy CSR (N, V): of each text's distinct terms the idf, over the root of the sum of its squares: LinearBag's.

    idf: (V,); a term's id is its place and one.
    """
    from scipy.sparse import csr_matrix

    rows = [np.unique(item.ids[item.ids > 0]) - 1 for item in encoded]
    starts = np.cumsum([0, *map(len, rows)])
    places = np.concatenate(rows) if rows else np.zeros(0, np.int32)
    values = [idf[row] / max(float(np.sqrt((idf[row] ** 2).sum())), 1e-6) for row in rows]
    data = np.concatenate(values) if values else np.zeros(0, np.float32)
    return csr_matrix((data.astype(np.float32), places, starts), shape=(len(rows), len(idf)))


def model_of(linear: Linear, idf: NDArray[np.float32], inputs: Inputs) -> LinearBag:
    """The fit as a torch module. idf: (V,)."""
    model = linear_bag(inputs.task, len(idf) + 1)
    table = np.concatenate([linear.weights * idf[:, None], idf[:, None] ** 2], axis=1)
    with torch.no_grad():
        model.terms.weight[1:] = torch.from_numpy(table.astype(np.float32))
        model.bias.copy_(torch.from_numpy(linear.bias.astype(np.float32)))
    return model.eval()


def _encoded(texts: Sequence[str], terms: tuple[str, ...], shape: LinearShape) -> list[TokenIds]:
    return NgramTokenizer(Terms(terms, shape.ngrams), shape.max_tokens).encode(texts)


def _idf(encoded: Sequence[TokenIds], terms: int) -> NDArray[np.float32]:
    """Smoothed inverse document frequency (V,), scikit-learn's."""
    counts = np.zeros(terms + 1, np.int64)
    for item in encoded:
        counts[np.unique(item.ids)] += 1
    return (np.log((1 + len(encoded)) / (1 + counts[1:])) + 1).astype(np.float32)


def _cut(
    shape: LinearShape, encoded: Sequence[TokenIds], idf: NDArray[np.float32], lesson: Lesson, task_type: str
) -> NDArray[np.int64]:
    """Places of the terms that stay, in rising order."""
    if len(idf) <= shape.max_features:
        return np.arange(len(idf))
    features = features_of(encoded, idf)
    start = first_guess(features, lesson.aims, task_type)
    penalty = _penalty(lesson, _C_OF_CUT)
    return largest(fit(features, loss_of(lesson.aims, task_type), penalty, start, _CUT_STEPS), idf, shape.max_features)


def _penalty(lesson: Lesson, c: float) -> float:
    """The texts' weights, pos_weight aside, sum to 1: so c weighs as scikit-learn's C does."""
    return 1 / (c * lesson.rows)


def _chosen(
    features: Any, idf: NDArray[np.float32], tokenizer: NgramTokenizer, lesson: Lesson, inputs: Inputs
) -> Linear:
    """The fit of best score on validation; where nothing can be scored there, of the first, strongest penalty."""
    task, validation, scaling = inputs.task, inputs.splits().validation, inputs.scaling()
    loss = loss_of(lesson.aims, task.type)
    start = first_guess(features, lesson.aims, task.type)
    held_out = features_of(tokenizer.encode(validation.texts), idf)
    truth = validation.targets if scaling is None else scaling.outputs(validation.targets)

    def score(linear: Linear) -> float:
        found = macro(roc_auc if scaling is None else r2, truth, linear.logits(held_out))
        return float("-inf") if found is None else found

    penalties = [_penalty(lesson, c) for c in _CHOICES_OF_C]
    return best_penalty(features, loss, start, penalties, score)
