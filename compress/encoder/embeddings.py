"""Where a small student's embeddings begin: as its teacher's, or as word vectors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.errors import EncoderError
from compress.tokenizer import Tokenizer

Floats = NDArray[np.float32]


def project(rows: Floats, width: int) -> Floats:
    """Rows (V, H) as rows (V, width) by the first right singular vectors: no other keep more of their products.

    Eckart and Young 1936. Rows of that width stay as they are. Raises EncoderError where width is above H.
    """
    check_projection(rows.shape[1], width)
    if width == rows.shape[1]:
        return rows
    _, _, directions = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(rows @ directions[:width].T, np.float32)


def check_projection(theirs: int, ours: int) -> None:
    """Raises EncoderError where embeddings of `theirs` numbers are to become longer ones of `ours`."""
    if ours > theirs:
        raise EncoderError(
            f"embeddings: the teacher's have {theirs} numbers, fewer than the student's {ours}. Choose a width (or "
            f"embedding_rank) of at most {theirs}, or embeddings: random."
        )


def teachers_rows(weights: Floats, theirs: Tokenizer, ours: Tokenizer) -> Floats:
    """For each of our pieces (V, H) the teacher's row, else the mean of the rows of the pieces it reads ours as.

    weights: the teacher's embeddings (W, H). A piece of which it reads nothing takes the mean of all.
    """
    known: Mapping[str, int] = theirs.inner.get_vocab(with_added_tokens=True)
    same_kind = type(theirs.inner.model) is type(ours.inner.model)
    found = np.tile(weights.mean(axis=0), (ours.vocabulary_size, 1))
    for piece, number in ours.inner.get_vocab(with_added_tokens=True).items():
        if piece in known and (same_kind or piece.startswith("[")):
            ids = [known[piece]]
        else:
            ids = theirs.inner.encode(ours.text_of(number), add_special_tokens=False).ids
        if ids:
            found[number] = weights[ids].mean(axis=0)
    return np.asarray(found, np.float32)


def words_of(tokenizer: Tokenizer) -> dict[str, int]:
    """The pieces that are, or begin, a word: its text -> their number."""
    words: dict[str, int] = {}
    inner = type(tokenizer.inner.model).__name__ == "WordPiece"
    for piece, number in sorted(tokenizer.inner.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1]):
        begins = not piece.startswith("##") if inner else piece.startswith(("Ġ", "▁"))
        text = tokenizer.text_of(number)
        if begins and text:
            words.setdefault(text, number)
    return words


def vectors_rows(vectors: Mapping[int, Floats], size: int) -> Floats:
    """Rows (size, width) of the vectors by number; the others at random, with their mean and deviations."""
    known = np.stack(list(vectors.values()))
    noise = torch.randn((size, known.shape[1])).numpy()
    rows = noise * known.std(axis=0) + known.mean(axis=0)
    rows[list(vectors)] = known
    return np.asarray(rows, np.float32)


def set_embeddings(encoder: Any, rows: Floats, size: float) -> None:
    """Gives an encoder these word embeddings (V, width), scaled to numbers of root mean square `size`; padding is 0."""
    table: nn.Embedding = encoder.get_input_embeddings()
    found = float(np.sqrt((rows**2).mean()))
    with torch.no_grad():
        table.weight.copy_(torch.from_numpy(rows * (size / found if found else 1.0)))
        if table.padding_idx is not None:
            table.weight[table.padding_idx] = 0
