"""Classifiers that read a text as a bag of its terms or pieces, in whatever order: a linear one, and embeddings."""

from types import SimpleNamespace
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional

from compress.recipe.data import Task, label_config

LINEAR, EMBEDDING_BAG = "compress_linear", "compress_embedding_bag"
_LEAST = 1e-12


class BagConfig(BaseModel):
    """config.json of a bag, under the names that transformers has for what both know.

    vocab_size: ids, padding (0) among them. embedding_size: width of an embedding, hidden_size: of the last layer's
    input; both 0 of a linear model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    model_type: Literal["compress_linear", "compress_embedding_bag"]
    architectures: tuple[str, ...]
    vocab_size: int
    embedding_size: int = 0
    hidden_size: int = 0
    id2label: dict[int, str]
    label2id: dict[str, int]
    problem_type: str


class LinearBag(nn.Module):
    """TF-IDF of distinct terms times a weight a label, as one look-up: logits = sum of w / sqrt(sum of n) + bias.

    A row of `terms` holds a term's L weights w and its n, the square of what the term counts in the text's length. A
    term that recurs counts once, so that a text gains nothing by repeating itself. A text without terms has the bias.
    """

    def __init__(self, config: BagConfig) -> None:
        super().__init__()
        self.description, self.config = config, _open(config)
        self.terms = nn.Embedding(config.vocab_size, len(config.id2label) + 1)
        self.bias = nn.Parameter(torch.zeros(len(config.id2label)))
        nn.init.zeros_(self.terms.weight)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (B, L) of ids (B, T); padding is where the id is 0, whose row is zeros."""
        ordered = input_ids.sort(dim=1).values
        before = functional.pad(ordered, (1, 0))[:, :-1]
        sums = self.terms(ordered.masked_fill(ordered == before, 0)).sum(dim=1)
        labels = self.bias.shape[0]
        logits: Tensor = sums[:, :labels] / sums[:, labels:].clamp(min=_LEAST).sqrt() + self.bias
        return logits


class EmbeddingBag(nn.Module):
    """Embeddings, each times a learned weight of its feature; their mean and maximum; one hidden layer.

    Joulin et al. 2017, with a maximum and a layer more. The maximum is taken with zero, so that neither padding nor a
    text without terms is a case of its own.
    """

    def __init__(self, config: BagConfig) -> None:
        super().__init__()
        self.description, self.config = config, _open(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.weight = nn.Embedding(config.vocab_size, 1)
        self.hidden = nn.Linear(2 * config.embedding_size, config.hidden_size)
        self.head = nn.Linear(config.hidden_size, len(config.id2label))
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.ones_(self.weight.weight)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (B, L) of ids (B, T) and attention mask (B, T)."""
        mask = attention_mask.unsqueeze(-1).to(self.head.weight.dtype)
        states = self.embedding(input_ids) * (self.weight(input_ids) * mask)
        mean = states.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        # a column of zeros: a text without any term has no maximum of its own
        highest = functional.pad(states, (0, 0, 0, 1)).amax(dim=1)
        pooled = torch.cat([mean, highest], dim=-1)
        logits: Tensor = self.head(functional.relu(self.hidden(pooled)))
        return logits


Bag = LinearBag | EmbeddingBag


def linear_bag(task: Task, ids: int) -> LinearBag:
    """A linear model of so many ids, all its weights zero."""
    return LinearBag(_config(LINEAR, LinearBag, task, ids))


def embedding_bag(task: Task, ids: int, width: int, hidden: int) -> EmbeddingBag:
    """An untrained bag of embeddings; random by torch's seed."""
    return EmbeddingBag(_config(EMBEDDING_BAG, EmbeddingBag, task, ids, embedding_size=width, hidden_size=hidden))


def is_bag(config: dict[str, Any]) -> bool:
    """Whether a config.json is one of these."""
    return config.get("model_type") in {LINEAR, EMBEDDING_BAG}


def empty_bag(config: BagConfig) -> Bag:
    """The model that a configuration describes, its weights not read."""
    return LinearBag(config) if config.model_type == LINEAR else EmbeddingBag(config)


def _open(config: BagConfig) -> SimpleNamespace:
    """The same for transformers' Trainer and exporter, which look for `config` on a model and write into it."""
    return SimpleNamespace(**config.model_dump())


def _config(kind: str, cls: type[Bag], task: Task, ids: int, **sizes: int) -> BagConfig:
    found: dict[str, Any] = {"model_type": kind, "architectures": (cls.__name__,), "vocab_size": ids}
    return BagConfig.model_validate(found | sizes | label_config(task))
