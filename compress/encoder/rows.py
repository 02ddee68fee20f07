"""Fewer and shorter rows of a trained classifier's embeddings."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.classifier import Classifier
from compress.encoder.factored import FactoredEmbedding, put_factors, row_table, stored_rank, word_table
from compress.encoder.source import counts_from_padding
from compress.errors import EncoderError

Floats = NDArray[np.float32]


def special_ids(config: Any) -> dict[str, int]:
    """Ids of pieces that a configuration names: pad_token_id and its kin."""
    named = {name: getattr(config, name, None) for name in vars(config) if name.endswith("_token_id")}
    named["pad_token_id"] = getattr(config, "pad_token_id", None)
    return {name: value for name, value in named.items() if isinstance(value, int)}


def staying_ids(config: Any) -> set[int]:
    """Ids of pieces that a model cannot do without: those that it names itself.

    Where positions are counted from the padding's id (RoBERTa) all ids before that stay too, so that it does.
    """
    named = special_ids(config)
    first = range(named["pad_token_id"] + 1) if counts_from_padding(config) and "pad_token_id" in named else range(0)
    return {*named.values(), *first}


def pick_rows(model: Classifier, rows: NDArray[np.int64]) -> None:
    """Keeps the embeddings of pieces `rows` (V,) alone, in this order, and renumbers the configuration's ids.

    A weight that others share is cut for all. Raises EncoderError where the embeddings have no such rows, or the
    padding's number would change under positions that are counted from it.
    """
    config, table = model.config, row_table(model.encoder)
    _check_rows(model, table, rows)
    place = {int(old): new for new, old in enumerate(rows)}
    weight = table.weight
    kept = nn.Parameter(weight.detach()[torch.from_numpy(rows).to(weight.device)].clone())
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter is weight:
                setattr(module, name, kept)
    table.num_embeddings = len(rows)
    table.padding_idx = place.get(table.padding_idx) if table.padding_idx is not None else None
    config.vocab_size = len(rows)
    for name, number in special_ids(config).items():
        # some configurations name ids that their vocabulary does not have
        setattr(config, name, place.get(number))


def _check_rows(model: Classifier, table: nn.Embedding, rows: NDArray[np.int64]) -> None:
    if len(rows) and rows.max() >= table.num_embeddings:
        raise EncoderError(
            f"type: the tokenizer has a piece of number {rows.max():,}, and the model {table.num_embeddings:,} "
            "embeddings: they do not belong together."
        )
    padding = table.padding_idx
    moved = padding is not None and not (padding < len(rows) and rows[padding] == padding)
    counting = [
        m for m in model.modules() if isinstance(m, nn.Embedding) and m is not table and m.padding_idx == padding
    ]
    if moved and counting:
        raise EncoderError(
            f"type: positions of this {model.config.model_type} are counted from the padding's number {padding}, which "
            "would change. Remove the stage."
        )


def factorize(model: Classifier, rank: int, counts: NDArray[np.int64]) -> float:
    """Makes the embeddings (V, H) a product of (V, rank) and (rank, H); returns the share of their squares it holds.

    Rows count by the root of how often their pieces are used, 1 + counts (V,); by the counts themselves, as in Chen et
    al. 2018 ("GroupReduce"), the commonest hundred take all directions. Raises EncoderError as check_rank does.
    """
    encoder: Any = model.encoder
    table = word_table(encoder)
    before = table.weight.detach()
    check_rank(rank, _width(table))
    shares = np.sqrt(1.0 + counts)
    directions = principal_directions(before.double().cpu().numpy(), shares, rank)
    made = put_factors(encoder, rank)
    turned = torch.from_numpy(directions).to(before.device)
    with torch.no_grad():
        made.embedding.weight.copy_(before.double() @ turned.T)
        made.embedding_projection.weight.copy_(turned.T)
    model.config.compress = model.config.compress | {"embedding_rank": rank}
    weights = torch.from_numpy(shares).to(before.device)[:, None]
    gone = ((before - made.weight.detach()).double() ** 2 * weights).sum()
    return float(1 - gone / (before.double() ** 2 * weights).sum())


def check_rank(rank: int, width: int) -> None:
    """Raises EncoderError where a product of that rank is no smaller than rows of `width` numbers."""
    if rank >= width:
        raise EncoderError(
            f"embedding_rank: {rank} is not below the {width} numbers that an embedding has. Write a smaller one, e.g. "
            f"{max(1, width // 3)}, or leave it out."
        )


def table_width(config: Any) -> int:
    """How many numbers an embedding has by an encoder's configuration: of a product, those of its short rows."""
    from compress.classifier import hidden_width

    return stored_rank(config) or getattr(config, "embedding_size", None) or hidden_width(config)


def _width(table: nn.Embedding | FactoredEmbedding) -> int:
    return table.embedding.embedding_dim if isinstance(table, FactoredEmbedding) else table.embedding_dim


def principal_directions(rows: NDArray[np.float64], weights: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
    """The `rank` orthonormal directions (rank, H) that keep most of the rows (V, H), each counted by its weight (V,).

    They are the first right singular vectors of the rows times the root of their weights (Eckart and Young 1936).
    """
    _, vectors = np.linalg.eigh(rows.T @ (rows * weights[:, None]))
    return np.ascontiguousarray(vectors[:, ::-1][:, :rank].T)
