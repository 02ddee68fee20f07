"""Embeddings as a product of two matrices: a short row for each piece, and one map from these to the full width."""

from typing import Any

import torch
from torch import Tensor, nn


class FactoredEmbedding(nn.Module):
    """A table (V, H) as a table (V, r) times a matrix (r, H), as ALBERT has it (Lan et al. 2020, section 3.1).

    It stands where an nn.Embedding stood, and has its numbers of rows and columns.
    """

    def __init__(self, rows: int, rank: int, width: int, padding_idx: int | None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(rows, rank, padding_idx)
        self.embedding_projection = nn.Linear(rank, width, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Embeddings (..., H) of ids (...)."""
        return self.embedding_projection(self.embedding(ids))

    @property
    def weight(self) -> Tensor:
        """The table (V, H) that the two stand for."""
        return self.embedding_projection(self.embedding.weight)

    @property
    def num_embeddings(self) -> int:
        """V."""
        return self.embedding.num_embeddings

    @property
    def embedding_dim(self) -> int:
        """H."""
        return self.embedding_projection.out_features


Table = nn.Embedding | FactoredEmbedding


def word_table(encoder: Any) -> Table:
    """The embeddings of an encoder's pieces."""
    table: Table = encoder.get_input_embeddings()
    return table


def row_table(encoder: Any) -> nn.Embedding:
    """What holds a row for each piece, of whatever length."""
    table = word_table(encoder)
    return table.embedding if isinstance(table, FactoredEmbedding) else table


def stored_rank(config: Any) -> int | None:
    """The rank of an artifact's embeddings by its configuration; None where the table is whole."""
    rank: int | None = (getattr(config, "compress", None) or {}).get("embedding_rank")
    return rank


def put_factors(encoder: nn.Module, rank: int) -> FactoredEmbedding:
    """Puts an empty product of that rank where the embeddings stand, and returns it."""
    table = word_table(encoder)
    rows = row_table(encoder)
    with torch.device(rows.weight.device):
        made = FactoredEmbedding(rows.num_embeddings, rank, table.embedding_dim, rows.padding_idx)
    for module in encoder.modules():
        for name, child in module.named_children():
            if child is table:
                setattr(module, name, made)
    return made
