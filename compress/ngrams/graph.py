"""The words and runs of words of texts as an ONNX graph of ONNX Runtime's own operators: no Python, no extension.

It gives the ids of NgramTokenizer, of which `words.py` says the rules. Runs are found as numbers and not as strings,
which takes half the time: a run's key is its words' numbers (or hashes) as the digits of one number.
"""

from dataclasses import dataclass, field
from typing import Any, assert_never

import numpy as np

from compress.errors import EncoderError
from compress.ngrams.tokenizer import Buckets, Terms
from compress.ngrams.words import HASH_BASE, HASH_MODULUS, JOINT, WORD, murmur3

TEXT, IDS, MASK, LOGITS = "text", "input_ids", "attention_mask", "logits"
# three words' numbers stand side by side in an int64
WORD_BITS = 21
_ML, _MICROSOFT = "ai.onnx.ml", "com.microsoft"
_DOMAINS = {_ML: 2, _MICROSOFT: 1}
_END = 2**62
# of a word that no term has; not 0, or a run that begins with it would have the key of what follows
_UNKNOWN = 1
# what the Tokenizer operator puts after the last word of a text
_END_MARK = b"\x03"


@dataclass
class Graph:
    """Nodes and arrays in the making. Every name in it but those that are given begins with `prefix`."""

    prefix: str = "front/"
    nodes: list[Any] = field(default_factory=list)
    arrays: dict[str, Any] = field(default_factory=dict)

    def add(self, operator: str, *inputs: str, domain: str = "", output: str | None = None, **attributes: Any) -> str:
        """A node; the name of its output."""
        from onnx import helper

        name = output or f"{self.prefix}{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """An array of its own; equal numbers of one type and shape are kept once."""
        from onnx import numpy_helper

        array = np.asarray(value, dtype)
        small = f"_{'_'.join(map(str, array.ravel().tolist()))}" if array.size <= 4 else f"s_{len(self.arrays)}"
        name = f"{self.prefix}{array.dtype.name}x{array.ndim}{small}"
        self.arrays[name] = numpy_helper.from_array(array, name)
        return name


def add_front(graph: Graph, features: Terms | Buckets, max_tokens: int) -> str:
    """Adds what turns `text` (B,) into ids (B, T), 0 where there is none; the name of these. T is at least 1.

    Raises EncoderError where there are more words than keys have room for.
    """
    lower = graph.add("StringNormalizer", TEXT, case_change_action="LOWER", locale="C")
    # mark: a control character before and one after the words, so that there is a column where no text has a word
    words = graph.add("Tokenizer", lower, domain=_MICROSOFT, tokenexp=WORD, mark=1, mincharnum=1, pad_value="")
    match features:
        case Terms():
            return _known_terms(graph, features, words, max_tokens)
        case Buckets():
            return _hashed_runs(graph, features, words, max_tokens)
        case _ as unknown:
            assert_never(unknown)


def _known_terms(graph: Graph, features: Terms, words: str, max_tokens: int) -> str:
    """Ids of those of the terms that occur. Words of no term, and marks, have a number that no term's key holds."""
    numbers = _word_numbers(features.terms)
    found = _lookup(graph, words, _UNKNOWN, keys_strings=list(numbers), values_int64s=list(numbers.values()))
    keys = _run_keys(graph, _read(graph, found, max_tokens), features.longest, 1 << WORD_BITS)
    wanted = _wanted_keys(features.terms, numbers)
    return _lookup(graph, _side_by_side(graph, keys), 0, keys_int64s=list(wanted), values_int64s=list(wanted.values()))


def _word_numbers(terms: tuple[str, ...]) -> dict[str, int]:
    """A number above _UNKNOWN for every word that a term has, in the order of the alphabet."""
    words = sorted({word for term in terms for word in term.split(JOINT)})
    if len(words) + _UNKNOWN >= 1 << WORD_BITS:
        raise EncoderError(
            f"{len(words):,} different words are too many for an ONNX graph, which has room for "
            f"{(1 << WORD_BITS) - _UNKNOWN - 1:,}. Set max_features lower, or min_count higher."
        )
    return {word: number for number, word in enumerate(words, _UNKNOWN + 1)}


def _wanted_keys(terms: tuple[str, ...], numbers: dict[str, int]) -> dict[int, int]:
    """Key -> id of every term."""
    keys = {}
    for place, term in enumerate(terms, 1):
        key = 0
        for word in term.split(JOINT):
            key = key << WORD_BITS | numbers[word]
        keys[key] = place
    return keys


def _hashed_runs(graph: Graph, features: Buckets, words: str, max_tokens: int) -> str:
    """Ids of all runs. What follows a text's words has hash 0: no run that ends there counts."""
    hashes = graph.add("Cast", graph.add("MurmurHash3", words, domain=_MICROSOFT, positive=1), to=_int64())
    ends = graph.add("Equal", hashes, graph.constant(murmur3(_END_MARK)))
    read = _read(graph, graph.add("Where", ends, graph.constant(0), hashes), max_tokens)
    keys = _run_keys(graph, read, features.longest, HASH_BASE, HASH_MODULUS)
    lasts = [read, *(_from(graph, read, length - 1) for length in range(2, features.longest + 1))]
    empty = graph.add("Equal", _side_by_side(graph, lasts), graph.constant(0))
    places = graph.add("Mod", _side_by_side(graph, keys), graph.constant(features.buckets))
    return graph.add("Where", empty, graph.constant(0), graph.add("Add", places, graph.constant(1)))


def _run_keys(graph: Graph, words: str, longest: int, base: int, modulus: int | None = None) -> list[str]:
    """Keys (B, T), (B, T - 1), ... of the runs of one word, of two, and so on; below modulus before a word is added."""
    keys = [words]
    for length in range(2, longest + 1):
        before = graph.add("Slice", keys[-1], *_range(graph, 0, -1))
        if modulus is not None:
            before = graph.add("Mod", before, graph.constant(modulus))
        moved = graph.add("Mul", before, graph.constant(base))
        keys.append(graph.add("Add", moved, _from(graph, words, length - 1)))
    return keys


def _lookup(graph: Graph, values: str, default: int, **table: Any) -> str:
    """Each value's number in a table, `default` where it has none."""
    return graph.add("LabelEncoder", values, domain=_ML, default_int64=default, **table)


def _side_by_side(graph: Graph, parts: list[str]) -> str:
    return graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def _read(graph: Graph, values: str, max_tokens: int) -> str:
    """The words that are read: all but the mark before them, and the mark after them where there are fewer."""
    return graph.add("Slice", values, *_range(graph, 1, max_tokens + 1))


def _from(graph: Graph, values: str, start: int) -> str:
    return graph.add("Slice", values, *_range(graph, start, _END))


def _range(graph: Graph, start: int, end: int) -> tuple[str, str, str]:
    """Slice's further inputs, of the second axis."""
    return graph.constant([start]), graph.constant([end]), graph.constant([1])


def _int64() -> int:
    from onnx import TensorProto

    return int(TensorProto.INT64)


def text_model(graph: Graph, labels: int, opset: int) -> Any:
    """onnx.ModelProto of a finished graph: `text` (B,) in, `logits` (B, labels) out. opset: of ONNX's own operators."""
    from onnx import TensorProto, checker, helper

    made = helper.make_graph(
        graph.nodes,
        "text_to_logits",
        [helper.make_tensor_value_info(TEXT, TensorProto.STRING, ["batch"])],
        [helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["batch", labels])],
        list(graph.arrays.values()),
    )
    versions = [helper.make_opsetid(name, number) for name, number in {"": opset, **_DOMAINS}.items()]
    model = helper.make_model(made, opset_imports=versions, ir_version=10, producer_name="compress")
    checker.check_model(model)
    return model


def with_front(body: Any, features: Terms | Buckets, max_tokens: int) -> Any:
    """A model of ids as one of texts. body: onnx.ModelProto with inputs input_ids and attention_mask, output logits."""
    graph = Graph()
    add_front(graph, features, max_tokens)
    graph.nodes[-1].output[0] = IDS
    if any(MASK in node.input for node in body.graph.node):
        graph.add("Sign", IDS, output=MASK)
    graph.nodes += body.graph.node
    graph.arrays |= {item.name: item for item in body.graph.initializer}
    own = next(item.version for item in body.opset_import if not item.domain)
    return text_model(graph, body.graph.output[0].type.tensor_type.shape.dim[1].dim_value, own)
