"""Runs programs that torch.export wrote, with int8 products where their graph has them."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compress.artifact import Artifact, Floats
from compress.errors import ArtifactError
from compress.runtime.pieces import PiecesPredictor
from compress.runtime.torch import bind_threads
from compress.tokenizer import Batch

PROGRAM = "model.pt2"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_PLAIN = re.compile(
    r"[^/]+/(models/model\.json|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|archive_format|archive_version|byteorder|\.data/(version|serialization_id))"
)
# torch gives sizes to sympify, which evaluates them, and names to the source of a module, which it runs
_SIZE = re.compile(
    r"(?:Symbol\('\w+'(?:, \w+=(?:True|False))*\)|(?:Integer|Rational|Add|Mul|Pow|Max|Min|And|Or|Not|Equality"
    r"|Unequality|(?:Strict)?(?:Greater|Less)Than|(?:Python)?Mod|(?:Floor|Clean|Ceil|IntTrue)Div|PowByNatural)\("
    r"|-?\d+|true|false|[), ])*"
)
_TREE = re.compile(
    r'(?:"(?:type|context|children_spec)": |"builtins\.(?:tuple|list|dict)"|"null"|"\[\]"|null|1|[][{}, ])*'
)
_WORD = re.compile(r"[\w.+,;>-]*")
_TEXTS = {"expr_str": _SIZE, "in_spec": _TREE, "out_spec": _TREE}
_NOT_RUN = {"guards_code", "stack_trace"}  # the former without sample inputs, the latter never: lines of source
_KINDS: dict[int, type[np.generic]] = {1: np.uint8, 2: np.int8, 7: np.float32}  # torch's serialized ScalarType


class TorchExportPredictor(PiecesPredictor):
    """A program of torch.export that gives logits, on the CPU. Its linear layers run in oneDNN's int8 kernels."""

    runtime = "torch.export"
    device = "cpu"

    def __init__(self, artifact: Artifact, threads: int) -> None:
        super().__init__(artifact, threads)
        self.program = open_program(artifact.path / PROGRAM)

    def _run(self, batch: Batch) -> Floats:
        bind_threads(self.threads)
        return run_program(self.program, batch)


def run_program(program: Any, batch: Batch) -> Floats:
    """Logits (B, L) of one padded batch."""
    with torch.inference_mode():
        return np.asarray(program(*(torch.from_numpy(value) for value in batch.values())).float().numpy(), np.float32)


def open_program(path: Path) -> Any:
    """The program as a module. Raises ArtifactError where anything in the file could run code."""
    module = open_graph(path)
    with torch.no_grad():
        to_int8_kernels(module)
    return module


def open_graph(path: Path) -> Any:
    """The program as it was written, its products of floats. Raises ArtifactError as `open_program`."""
    # the operators between floats and integers, which are not there until this is imported
    import torch.ao.quantization.fx._decomposed

    check_plain(path)
    return torch.export.load(str(path)).module()


def check_plain(path: Path) -> None:
    """Raises ArtifactError unless a .pt2 file holds a graph as JSON and tensors as bytes, and nothing else.

    torch.export.load would unpickle tensors, constants and sample inputs, and open compiled code, where it finds them,
    and it evaluates what the graph says of sizes: of its texts only names and plain sums and products are let through.
    """
    with zipfile.ZipFile(path) as file:
        known = [item.filename for item in file.infolist() if item.file_size]
        strange = [name for name in known if not _PLAIN.fullmatch(name)]
        configs = sum(name.endswith(_CONFIGS) for name in known)
        strange += [name for name, entry in _entries(file) if entry.get("use_pickle", True)]
        graphs = [json.loads(file.read(name)) for name in known if name.endswith(".json") and not strange]
        strange += [text for graph in graphs for text in _unsafe(graph)]
    if strange or configs != len(_CONFIGS):
        what = f"{strange[0]}, which could run code" if strange else "no list of its weights"
        raise ArtifactError(f"{path} holds {what}. Nothing in it was read; make the artifact again.")


def weight_arrays(folder: Path) -> Iterator[NDArray[np.generic]]:
    """The weights in an artifact's program: tables of integers, whose 0 is 0.0, and floats that are no scales."""
    with zipfile.ZipFile(folder / PROGRAM) as file:
        root = file.namelist()[0].split("/", 1)[0]
        for name, entry in _entries(file):
            kind = _KINDS.get(entry["tensor_meta"]["dtype"])
            if entry["path_name"].startswith("weight_") and kind is not None and not _is_scale(name):
                yield np.frombuffer(file.read(f"{root}/data/weights/{entry['path_name']}"), kind)


def _unsafe(value: Any, key: str = "") -> Iterator[str]:
    """Texts in JSON that are neither names nor what is known to be harmless under that key."""
    if isinstance(value, str) and not _TEXTS.get(key, _WORD).fullmatch(value):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _unsafe(item, key)
    elif isinstance(value, dict):
        for name, item in value.items():
            if not _WORD.fullmatch(name):
                yield name
            if name not in _NOT_RUN:
                yield from _unsafe(item, name)


def _entries(file: zipfile.ZipFile) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and entry of every weight and constant of a .pt2 file."""
    for path in file.namelist():
        if path.endswith(_CONFIGS):
            yield from json.loads(file.read(path))["config"].items()


def _is_scale(name: str) -> bool:
    return name.startswith(("_scale_", "_zero_point_"))


def to_int8_kernels(module: Any) -> int:
    """Lets oneDNN multiply integers where a graph multiplies what it has just made floats of. Returns how many.

    As written by PT2E quantization a linear layer reads dequantize(quantize(x)) and dequantize(weights): exact, and
    slower than fp32. torchao's lowering does the same through inductor's passes, and fixes the shapes.
    """
    if not torch.backends.mkldnn.is_available():
        return 0
    graph, found = module.graph, list(int8_linears(module))
    for count, it in enumerate(found):
        packed = torch.ops.onednn.qlinear_prepack(it.table, None)
        names = [f"_int8_{count}_{what}" for what in ("weights", "scales", "zeros")]
        for name, value in zip(names, (packed, it.scales.float(), it.zeros.to(torch.int32)), strict=True):
            module.register_buffer(name, value, persistent=False)
        with graph.inserting_before(it.node):
            held = [graph.get_attr(name) for name in names]
            made = graph.call_function(
                torch.ops.onednn.qlinear_pointwise.default,
                (it.quantized, it.scale, it.zero, *held, it.bias, 1.0, 0, torch.float32, "none", [], ""),
            )
        it.node.replace_all_uses_with(made)
        graph.erase_node(it.node)
    graph.eliminate_dead_code()
    module.recompile()
    return len(found)


@dataclass(frozen=True)
class Int8Linear:
    """A linear layer of a graph that reads floats just made of integers, static ones.

    node: its own. quantized: the node of its input in u8, with scale and zero. table: s8 weights (N, K), with scales
    and zeros (N,). bias: a node, or None.
    """

    node: Any
    quantized: Any
    scale: Any
    zero: Any
    table: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor
    bias: Any


def int8_linears(module: Any) -> Iterator[Int8Linear]:
    """Those of a graph module, in its order."""
    operators = torch.ops.quantized_decomposed
    for node in list(module.graph.nodes):
        if node.target != torch.ops.aten.linear.default:
            continue
        x, weights, *bias = node.args
        static = x.target == operators.dequantize_per_tensor.default
        if not static or weights.target != operators.dequantize_per_channel.default:
            continue
        table, scales, zeros = (_tensor(module, item) for item in weights.args[:3])
        if table is None or scales is None or zeros is None:
            continue
        if table.dtype == torch.int8 and x.args[5] == torch.uint8:
            quantized, scale, zero = x.args[:3]
            yield Int8Linear(node, quantized, scale, zero, table, scales, zeros, bias[0] if bias else None)


def _tensor(module: Any, node: Any) -> torch.Tensor | None:
    """What a get_attr node reads."""
    if node.op != "get_attr":
        return None
    found: Any = module
    for part in str(node.target).split("."):
        found = getattr(found, part)
    return found if isinstance(found, torch.Tensor) else None
