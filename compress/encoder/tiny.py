"""Small transformers from scratch, in the shape of BERT, or of ALBERT where layers or embeddings are to be saved."""

from typing import Any

from compress.classifier import Classifier
from compress.encoder.attention import drop_projections
from compress.encoder.build import describe
from compress.recipe.data import Task
from compress.recipe.students import TinyEncoder


def build_tiny(task: Task, shape: TinyEncoder, vocabulary: int, max_tokens: int, pad_id: int = 0) -> Classifier:
    """A classifier of that shape, its weights random by torch's seed (Devlin et al. 2019; Lan et al. 2020)."""
    from transformers import AlbertModel, BertModel

    saves = shape.share_layers or shape.embedding_rank is not None
    common = _common(shape, vocabulary, max_tokens, pad_id)
    config = _albert_config(shape, common) if saves else _bert_config(shape, common)
    describe(config, task, shape.pooling, max_tokens)
    encoder = (AlbertModel if saves else BertModel)(config, add_pooling_layer=False)
    if shape.attention == "dot":
        config.compress["attention"] = "dot"
        drop_projections(encoder)
    return Classifier(encoder, shape.pooling, len(task.labels), shape.dropout)


def _common(shape: TinyEncoder, vocabulary: int, max_tokens: int, pad_id: int) -> dict[str, Any]:
    """What both families call by the same names."""
    return {
        "vocab_size": vocabulary,
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.width,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.ffn or 4 * shape.width,
        "max_position_embeddings": max_tokens,
        "type_vocab_size": 1,
        "hidden_dropout_prob": shape.dropout,
        "attention_probs_dropout_prob": shape.dropout,
        "pad_token_id": pad_id,
        "hidden_act": shape.activation,
    }


def _bert_config(shape: TinyEncoder, common: dict[str, Any]) -> Any:
    from transformers import BertConfig

    return BertConfig(**common)


def _albert_config(shape: TinyEncoder, common: dict[str, Any]) -> Any:
    """One group of layers is one set of weights."""
    from transformers import AlbertConfig

    return AlbertConfig(
        **common,
        embedding_size=shape.embedding_rank or shape.width,
        num_hidden_groups=1 if shape.share_layers else shape.layers,
        classifier_dropout_prob=shape.dropout,
    )
