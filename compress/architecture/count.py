"""Parameters by part, multiply-adds, and the order in which a layer works, counted on a model without numbers."""

from collections import Counter
from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal

import torch
from torch import Tensor, nn

from compress.architecture.types import Parameters
from compress.classifier import Classifier

# beginnings of the names that transformers gives to what stands on top of a base model
_HEADS = ("pool", "lm_head", "classifi", "score", "summary", "qa_outputs")
Part = Literal["embeddings", "encoder", "decoder", "head"]


@dataclass(frozen=True)
class Pass:
    """What one pass shows. multiply_adds: of matrix products and convolutions.

    norms: whether a layer's first and last part with weights is a norm. None: the model cannot run without numbers.
    """

    multiply_adds: int | None
    norms: tuple[bool, bool] | None


def inner_model(model: nn.Module) -> Any:
    """The model of transformers inside one of our classifiers, else the model itself."""
    return model.encoder if isinstance(model, Classifier) else model


def is_causal(model: nn.Module) -> bool:
    """Whether it is a decoder alone: each token sees those before it only."""
    paired = inner_model(model).config.is_encoder_decoder
    return not paired and any(getattr(module, "is_causal", False) for module in model.modules())


def count_parameters(model: nn.Module) -> Parameters:
    """Parameters of a model by part, tied ones counted once, where they stand first."""
    base = inner_model(model).base_model
    causal = is_causal(model)
    counts: Counter[Part] = Counter()
    owners = {f"{prefix}.{name}".strip("."): module for prefix, module in base.named_modules() for name in _own(module)}
    for name, parameter in base.named_parameters():
        counts[_part(name, owners[name], causal)] += parameter.numel()
    body = counts["embeddings"] + counts["encoder"] + counts["decoder"]
    total = sum(parameter.numel() for parameter in model.parameters())
    return Parameters(counts["embeddings"], counts["encoder"], counts["decoder"], head=total - body)


def _own(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters(recurse=False)]


def _part(name: str, owner: nn.Module, causal: bool) -> Part:
    """Where a parameter of a base model belongs."""
    first = name.split(".", 1)[0]
    if first.startswith(_HEADS):
        return "head"
    if isinstance(owner, nn.Embedding) or "emb" in name.lower():
        return "embeddings"
    return "decoder" if causal or first == "decoder" else "encoder"


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalizes: transformers has some dozens of such classes, and names them all so."""
    return "norm" in type(module).__name__.lower()


def run_once(model: nn.Module, tokens: int) -> Pass:
    """One text of `tokens` tokens through a model on the meta device, without computing anything.

    Sequence classifiers on an encoder-decoder look for the end of the text in its numbers, which are not there: of
    these the base model is run, and the linear layers of the head are added, which see one vector a text.
    """
    inner = inner_model(model)
    paired = bool(inner.config.is_encoder_decoder)
    head = getattr(inner, "classification_head", None) if paired else None
    run = model if head is None else inner.base_model
    extra = sum(module.weight.numel() for module in head.modules() if isinstance(module, nn.Linear)) if head else 0
    seen: list[bool] = []
    hooks = [module.register_forward_pre_hook(_noting(seen)) for module in _last_layer(run).modules() if _own(module)]
    try:
        counted = _multiply_adds(run, tokens)
    except Exception:  # some architectures choose their way by numbers that are not there
        return Pass(None, None)
    finally:
        for hook in hooks:
            hook.remove()
    return Pass(counted + extra, (seen[0], seen[-1]) if seen else None)


def _noting(seen: list[bool]) -> Any:
    return lambda module, _: seen.append(is_norm(module))


def _last_layer(model: nn.Module) -> nn.Module:
    """The last of its longest list of layers (of the encoder's, where a decoder has as many)."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)]
    return max(lists, key=len)[-1] if lists else nn.Identity()


def _multiply_adds(model: nn.Module, tokens: int) -> int:
    """Counted by torch's own counter while fake tensors, which have shapes alone, flow through; leaves model fake."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    model.requires_grad_(False)
    counter = FlopCounterMode(display=False)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.inference_mode():
        # some architectures make tensors on the CPU whatever device their weights are on
        model.to_empty(device="cpu")
        ids = torch.ones((1, tokens), dtype=torch.long)
        inputs: dict[str, Tensor] = {"input_ids": ids, "attention_mask": ids}
        if "decoder_input_ids" in signature(model.forward).parameters:
            inputs["decoder_input_ids"] = ids
        with counter:
            model(**inputs)
    # the counter counts a multiplication and an addition as two
    return int(counter.get_total_flops()) // 2
