"""Tiny random encoders of every family, each with a tokenizer of the kind that the family really has. Offline.

Run as a script it writes the table of what works where, which test_families.py holds true, into recipes/README.md.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

POSITIONS = 64
# the exporters treat weights of more than 8,192 numbers otherwise: every matrix has 9,216 or more
_WIDTH, _LAYERS, _HEADS, _INNER = 96, 2, 2, 128
POOLINGS = ("own", "cls", "mean", "max", "mean_max", "last4")
README = Path(__file__).parent.parent / "recipes" / "README.md"
_BEGIN, _END = "<!-- families -->", "<!-- /families -->"


@dataclass(frozen=True)
class Works:
    """What was seen of a family. fused: whether transformers has fused attention (SDPA) for it.

    int8_percent: of the weights in matrix products under int8_dynamic. notes: numbers of NOTES.
    """

    name: str
    tokenizer: Literal["WordPiece", "byte-level BPE", "Unigram"]
    fused: bool = True
    exporter: str = "transformers' exporter"
    int8_percent: float = 100.0
    notes: tuple[int, ...] = ()


# neighbours have different tokenizers: each family is taught by the one before it
WORKS = {
    "bert": Works("BERT", "WordPiece"),
    "roberta": Works("RoBERTa", "byte-level BPE"),
    "albert": Works("ALBERT", "Unigram", notes=(2,)),
    "distilbert": Works("DistilBERT", "WordPiece"),
    "xlnet": Works("XLNet", "Unigram", fused=False, int8_percent=99.7, notes=(1, 3)),
    "electra": Works("ELECTRA", "WordPiece"),
    "modernbert": Works("ModernBERT", "byte-level BPE"),
    "mpnet": Works("MPNet", "WordPiece", fused=False, notes=(1,)),
    "deberta-v2": Works("DeBERTa-v2, v3", "Unigram", fused=False, notes=(1, 2)),
}
FAMILIES = tuple(WORKS)
NOTES = {
    1: "transformers 5.23 has no fused attention for it: `attention_dropout: 0` makes the others faster, not this one.",
    2: "Layers share weights. The exporters leave those where ONNX Runtime 1.31's quantizer passes over them without a "
    "word (nearly all of ALBERT's, the queries and keys of DeBERTa's); the export stage puts them in order.",
    3: "Padded on the left; `cls` reads the last token, which is XLNet's `<cls>`; the model is given segment numbers. "
    "It has no dropout of attention alone, so `attention_dropout` is refused, and no limit of positions. Its attention "
    "is written as Einsum; the export stage turns that into MatMul, and two segment embeddings a layer stay fp32.",
}
_WIDE = {"hidden_size": _WIDTH, "num_hidden_layers": _LAYERS, "num_attention_heads": _HEADS}
_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def save_family(family: str, sentences: Sequence[str], folder: Path, seed: int = 13) -> None:
    """A random encoder of 2 layers, width 96, 2 heads and 64 tokens, and its tokenizer, whose words are `sentences`'.

    Its weights are two and a half times what training begins with, so that every part of it shows in its answers.
    """
    import torch

    tokenizer = _tokenizer(family, sentences)
    tokenizer.model_max_length = POSITIONS
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(seed)
    model = _model(family, len(tokenizer), tokenizer.pad_token_id)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(2.5)
            elif name.endswith("bias"):
                parameter.normal_(std=0.05)
    model.save_pretrained(str(folder))


def _model(family: str, size: int, pad: int) -> Any:
    import transformers as t

    usual = {"vocab_size": size, "pad_token_id": pad}
    bert = usual | _WIDE | {"intermediate_size": _INNER, "max_position_embeddings": POSITIONS}
    shifted = bert | {"max_position_embeddings": POSITIONS + pad + 1}
    match family:
        case "bert":
            return t.BertModel(t.BertConfig(**bert))
        case "roberta":
            return t.RobertaModel(t.RobertaConfig(**shifted, type_vocab_size=1))
        case "distilbert":
            shape = {"dim": _WIDTH, "n_layers": _LAYERS, "n_heads": _HEADS, "hidden_dim": _INNER}
            return t.DistilBertModel(t.DistilBertConfig(**usual, **shape, max_position_embeddings=POSITIONS))
        case "albert":  # embeddings narrower than the layers, which share their weights
            return t.AlbertModel(t.AlbertConfig(**bert, embedding_size=16))
        case "xlnet":
            shape = {"d_model": _WIDTH, "n_layer": _LAYERS, "n_head": _HEADS, "d_inner": _INNER}
            return t.XLNetModel(t.XLNetConfig(**usual, **shape))
        case "electra":
            return t.ElectraModel(t.ElectraConfig(**bert, embedding_size=16))
        case "mpnet":
            return t.MPNetModel(t.MPNetConfig(**shifted))
        case "deberta-v2":  # as DeBERTa-v3's: relative positions alone, in log buckets, their keys shared
            relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8}
            shared = {"share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False}
            return t.DebertaV2Model(t.DebertaV2Config(**bert, **relative, **shared, type_vocab_size=0))
        case "modernbert":  # every second layer sees four tokens to each side
            ends = {"bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
            local = {"local_attention": 8, "global_attn_every_n_layers": 2}
            return t.ModernBertModel(t.ModernBertConfig(**bert, **ends, **local))
        case _:
            raise ValueError(f"no family {family}")


def _tokenizer(family: str, sentences: Sequence[str]) -> Any:
    import transformers as t

    match family:
        case "bert" | "distilbert" | "electra":
            return t.BertTokenizer(vocab=_pieces(sentences, _BERT))
        case "mpnet":
            vocabulary = _pieces(sentences, ("<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"))
            return t.MPNetTokenizer(vocab=vocabulary)
        case "roberta":
            vocabulary, merges = _byte_pairs(sentences, ("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
            return t.RobertaTokenizer(vocab=vocabulary, merges=merges)
        case "modernbert":
            return _modernbert_tokenizer(sentences)
        case "albert":
            return t.AlbertTokenizer(vocab=_unigrams(sentences, ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")))
        case "deberta-v2":
            return t.DebertaV2Tokenizer(vocab=_unigrams(sentences, ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")))
        case "xlnet":
            special = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")
            return t.XLNetTokenizer(vocab=_unigrams(sentences, special))
        case _:
            raise ValueError(f"no family {family}")


def _modernbert_tokenizer(sentences: Sequence[str]) -> Any:
    """Byte pairs under BERT's special tokens, as a tokenizer.json without a class of its own."""
    import tokenizers as t
    from transformers import PreTrainedTokenizerFast

    vocabulary, merges = _byte_pairs(sentences, _BERT)
    inner = t.Tokenizer(t.models.BPE(vocabulary, merges))
    inner.pre_tokenizer = t.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = t.decoders.ByteLevel()
    inner.post_processor = t.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=inner, **dict(zip(names, _BERT, strict=True)))


def _words(sentences: Sequence[str]) -> list[tuple[str, int]]:
    """Every word, the most frequent first."""
    counts = Counter(word for text in sentences for word in text.lower().split())
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _letters(sentences: Sequence[str]) -> list[str]:
    return sorted({letter for text in sentences for letter in text.lower() if not letter.isspace()})


def _pieces(sentences: Sequence[str], special: Sequence[str]) -> dict[str, int]:
    """WordPiece: half of the words whole, the others letter by letter."""
    letters = _letters(sentences)
    whole = [word for word, _ in _words(sentences)[::2]]
    names = dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *whole])
    return {name: index for index, name in enumerate(names)}


def _unigrams(sentences: Sequence[str], special: Sequence[str]) -> list[tuple[str, float]]:
    """Pieces with log probabilities, as SentencePiece has them: half of the words whole, the others by letters."""
    words = _words(sentences)
    total = sum(count for _, count in words)
    whole = [(f"▁{word}", math.log(count / total)) for word, count in words[::2]]
    return [*((name, 0.0) for name in special), *((letter, -9.0) for letter in ("▁", *_letters(sentences))), *whole]


def _byte_pairs(sentences: Sequence[str], special: Sequence[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-level pairs: vocabulary and merges, trained."""
    import tokenizers as t

    inner = t.Tokenizer(t.models.BPE())
    inner.pre_tokenizer = t.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = t.pre_tokenizers.ByteLevel.alphabet()
    trainer = t.trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(special), show_progress=False, initial_alphabet=alphabet
    )
    inner.train_from_iterator(sentences, trainer)
    model = json.loads(inner.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def table() -> str:
    """The part of recipes/README.md that says what works where, its marks included."""
    rows = [
        f"| {item.name}{''.join(f' [{number}]' for number in item.notes)} | {item.tokenizer} | all six | yes | yes | "
        f"{item.exporter} | yes | {item.int8_percent:g} % |"
        for item in WORKS.values()
    ]
    heads = (
        "family",
        "tokenizer",
        "poolings, `finetune`",
        "`distill`, both sides",
        "`prune`",
        "`export`",
        "fp16",
        "int8",
    )
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|---|---|---|---|---:|", *rows]
    notes = [f"- [{number}] {text}" for number, text in NOTES.items()]
    return "\n".join([_BEGIN, *lines, "", *notes, _END, ""])


def _write() -> None:
    before, _, rest = README.read_text(encoding="utf-8").partition(_BEGIN)
    README.write_text(before + table() + rest.partition(f"{_END}\n")[2], encoding="utf-8")


if __name__ == "__main__":
    _write()
