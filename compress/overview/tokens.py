"""How long a recipe's texts are for the stages that read tokens, by each tokenizer that can be had on this disk."""

import random
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import nlargest
from pathlib import Path
from typing import Any, assert_never

import numpy as np

from compress.context import Progress
from compress.data.lengths import LEARNED_FROM, Counted, Lengths, TokenLengths, Unit
from compress.data.overview import texts_by_split
from compress.data.types import Splits
from compress.errors import ArtifactError, EncoderError
from compress.pretrained import local_folder
from compress.recipe.data import Task
from compress.recipe.long_text import TRUNCATE
from compress.recipe.max_tokens import max_tokens_of
from compress.recipe.recipe import Recipe
from compress.recipe.reference import encoder_reference
from compress.recipe.stages import Distill, Finetune, Load, Stage
from compress.recipe.students import (
    Bpe,
    EmbeddingBagShape,
    Hashed,
    TeachersPieces,
    TinyEncoder,
    TrainedVocabulary,
    Unigram,
    WordPiece,
)
from compress.tokenizer import Tokenizer, read_pretrained_tokenizer
from compress.vocabulary.learn import train_vocabulary

SAMPLE = 10_000  # texts of a split: what is cut is then known within half a percent
LONGEST = 20  # texts that are always looked at: a sample alone would miss the longest of all
_LONG = 2_000  # by characters, among which these are sought
_ROUGHLY_TOKENS = re.compile(r"[A-Za-z]{1,8}|[^\sA-Za-z]")
_UNCUT = 2**30
_Tell = Callable[[int], None]
_Count = Callable[[Sequence[str], _Tell], Lengths]


@dataclass(frozen=True)
class _Hosted:
    """A pretrained model's tokenizer."""

    name: str
    revision: str | None


_Source = _Hosted | TrainedVocabulary


def token_lengths(recipe: Recipe, splits: Splits, progress: Progress) -> tuple[TokenLengths, ...]:
    """One for each tokenizer that stages of the recipe begin with; those that follow another stage read as it does.

    Where a tokenizer cannot be had without a download, words are counted in its place, and its note says so.
    """
    limits: dict[str, int | None] = {}
    readers: dict[_Source, list[str]] = {}
    sources: dict[str, _Source | None] = {}
    stages = {stage.id: stage for stage in recipe.all_stages}
    for stage in recipe.all_stages:
        limits[stage.id] = _limit(stage, stages, limits, recipe.task)
        source = sources[stage.id] = _source(stage, sources)
        if source is not None:
            readers.setdefault(source, []).append(stage.id)
    drawn = _Drawn(splits, recipe.seed)
    return tuple(
        _lengths(source, {stage: limits[stage] for stage in stages}, drawn, progress)
        for source, stages in readers.items()
    )


def _source(stage: Stage, known: Mapping[str, _Source | None]) -> _Source | None:
    """The tokenizer that comes into the run with this stage; a teacher's is counted whole, also where it is cut."""
    match stage:
        case (
            Finetune(encoder=TinyEncoder() | EmbeddingBagShape() as shape)
            | Distill(student=TinyEncoder() | EmbeddingBagShape() as shape)
        ):
            if isinstance(shape.tokenizer, TeachersPieces):
                return known.get(stage.teacher_ids[0]) if isinstance(stage, Distill) else None
            return None if isinstance(shape.tokenizer, Hashed) else shape.tokenizer
        case _:
            reference = encoder_reference(stage)
            return _Hosted(reference.name, reference.revision) if reference else None


def _limit(stage: Stage, stages: Mapping[str, Stage], known: dict[str, int | None], task: Task) -> int | None:
    """The stage's max_tokens; of a model that is loaded its own, if it is on this disk."""
    limit = max_tokens_of(stage, stages, known)
    if limit is not None or not isinstance(stage, Load):
        return limit
    from compress.stages.load import check_load

    try:
        return check_load(stage, task) if local_folder(stage.model, stage.revision) else None
    except (ArtifactError, EncoderError):  # told when its tokenizer is opened, or by the run
        return None


class _Drawn:
    """The texts that are counted: all of a small split, SAMPLE of a larger one, the same for every tokenizer."""

    def __init__(self, splits: Splits, seed: int) -> None:
        self.all = texts_by_split(splits)
        self.counted = {name: _sample(texts, SAMPLE, seed) for name, texts in self.all.items()}
        self.longest = {name: _likely_longest(texts) if len(texts) > SAMPLE else [] for name, texts in self.all.items()}
        learned = [text for name in LEARNED_FROM for text in self.all.get(name, ())]
        self.learned, self.to_train_on = len(learned), _sample(learned, SAMPLE, seed)

    @property
    def total(self) -> int:
        """Texts that each tokenizer counts."""
        return sum(len(texts) for part in (self.counted, self.longest) for texts in part.values())


def _sample(texts: Sequence[str], size: int, seed: int) -> Sequence[str]:
    """All of them, or `size` drawn by seed, in their order."""
    if len(texts) <= size:
        return texts
    return [texts[row] for row in sorted(random.Random(seed).sample(range(len(texts)), size))]


def _likely_longest(texts: Sequence[str]) -> list[str]:
    """Among texts of many characters those of many short words and marks: in tokens they are the longest, mostly."""
    return nlargest(LONGEST, nlargest(_LONG, texts, key=len), key=lambda text: len(_ROUGHLY_TOKENS.findall(text)))


def _lengths(source: _Source, limits: dict[str, int | None], drawn: _Drawn, progress: Progress) -> TokenLengths:
    tell = _teller(progress, f"token lengths: {', '.join(limits)}", drawn.total)
    count: _Count = _word_counts
    unit: Unit = "words"
    positions: int | None = None
    try:
        opened = _opened(source, drawn)
        count, unit, note, positions = partial(_token_counts, opened.tokenizer), "tokens", opened.note, opened.positions
    except EncoderError as error:
        note = f"{error} Words were counted instead: a word is one token or more, so limits cut more than is shown."
    counted = {name: _counted(name, drawn, count, tell) for name in drawn.all}
    return TokenLengths(_said(source), unit, note, positions, limits, counted)


def _teller(progress: Progress, what: str, total: int) -> _Tell:
    """Adds up what is done."""
    progress(what, 0, total)
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        done += more
        progress(what, done, total)

    return tell


def _said(source: _Source) -> str:
    match source:
        case _Hosted():
            return source.name
        case WordPiece() | Bpe() | Unigram():
            kind = {"wordpiece": "WordPiece", "bpe": "byte-level BPE", "unigram": "unigram"}[source.type]
            kept = f"{'' if source.lowercase else ', case kept'}{', letters only' if source.letters_only else ''}"
            return f"{kind} of {source.size:,} pieces{kept}"
        case _ as unknown:
            assert_never(unknown)


@dataclass(frozen=True)
class _Opened:
    """A tokenizer that cuts nothing. note: what to know about it; positions: as in TokenLengths."""

    tokenizer: Tokenizer
    note: str | None
    positions: int | None


def _opened(source: _Source, drawn: _Drawn) -> _Opened:
    """Raises EncoderError where the tokenizer is not on this disk."""
    match source:
        case _Hosted():
            return _open_hosted(source)
        case WordPiece() | Bpe() | Unigram():
            return _trained(source, drawn)
        case _ as unknown:
            assert_never(unknown)


def _open_hosted(source: _Hosted) -> _Opened:
    from compress.encoder.source import open_pretrained

    folder = local_folder(source.name, source.revision)
    if folder is None:
        raise EncoderError(f"{source.name} is not on this disk, and an overview downloads nothing.")
    inner = read_pretrained_tokenizer(folder).backend_tokenizer
    return _Opened(_uncut(inner), None, open_pretrained(folder).max_positions)


def _trained(source: TrainedVocabulary, drawn: _Drawn) -> _Opened:
    texts = drawn.to_train_on
    with tempfile.TemporaryDirectory() as scratch:
        inner = train_vocabulary(source, texts, Path(scratch), _UNCUT).inner
    part = f"{len(texts):,} of the {drawn.learned:,} texts" if len(texts) < drawn.learned else "the texts"
    return _Opened(_uncut(inner), f"its pieces were learnt for this overview, from {part} of train and unlabeled", None)


def _uncut(inner: Any) -> Tokenizer:
    return Tokenizer(inner, _UNCUT, TRUNCATE, pad_id=0, pad_type=0, pad_left=False)


def _counted(split: str, drawn: _Drawn, count: _Count, tell: _Tell) -> Counted:
    lengths = count(drawn.counted[split], tell)
    extra = count(drawn.longest[split], tell)
    return Counted(lengths, len(drawn.all[split]), int(max(lengths.max(), extra.max(initial=0))))


def _token_counts(tokenizer: Tokenizer, texts: Sequence[str], tell: _Tell) -> Lengths:
    found = [np.zeros(0, np.int64)]
    for run in tokenizer.runs(texts):
        found.append(run.lengths)
        tell(len(run.counts))
    return np.concatenate(found).astype(np.int32)


def _word_counts(texts: Sequence[str], tell: _Tell) -> Lengths:
    tell(len(texts))
    return np.array([len(text.split()) for text in texts], np.int32)
