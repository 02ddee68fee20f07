"""Magnitude pruning with a cubic schedule (Zhu and Gupta 2017) and recovery training under the masks."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import prune as masks

from compress.classifier import Classifier
from compress.context import Context
from compress.encoder.factored import FactoredEmbedding
from compress.encoder.files import load_classifier
from compress.inputs import Inputs, Made
from compress.recipe.pruning import PruneMagnitude
from compress.runtime import open_predictor
from compress.tokenizer import copy_tokenizer, open_tokenizer
from compress.train.checkpoints import StepHook
from compress.train.finish import save_decided
from compress.train.recovery import Recovery

# masks grow during this first share of the steps and every so many of them; the rest recovers at full sparsity
_RAMP = 0.7
_UPDATES = 50


def run(config: PruneMagnitude, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Prunes the parent to config.final_sparsity; zeros stay exact in the saved weights."""
    parent = inputs.followed()
    max_tokens, long_text = parent.manifest.token_limit, parent.manifest.long_text
    torch.manual_seed(context.seed)
    model = load_classifier(parent.path)
    copy_tokenizer(parent.path, folder)
    tokenizer = open_tokenizer(folder, max_tokens, long_text)
    weights = prunable(model, config.embeddings)
    for layer, name in weights:  # what an earlier pruning took out stays out
        masks.custom_from_mask(layer, name, layer.get_parameter(name) != 0)
    hook = _Masks(weights, config)
    Recovery(config, inputs, context, tokenizer, open_predictor).train(model, hook=hook)
    hook.set_sparsity(config.final_sparsity)
    for layer, name in weights:
        masks.remove(layer, name)
    notes = save_decided(model, tokenizer, inputs, context.device, folder, config)
    return Made("torch", max_tokens, notes=notes, long_text=long_text)


class Weight(NamedTuple):
    """A weight by its place: the parameter `name` of `layer`."""

    layer: nn.Module
    name: str


def prunable(model: Classifier, embeddings: bool) -> list[Weight]:
    """The weights that are pruned: of every linear layer of the encoder, the classification head left out."""
    body: Any = model.encoder
    if model.pooling == "own":
        body = getattr(body, body.base_model_prefix, body)
    tables = [] if embeddings else [module for module in body.modules() if isinstance(module, FactoredEmbedding)]
    spared = {part for table in tables for part in table.modules()}
    modules = (module for module in body.modules() if module not in spared)
    return [Weight(module, name) for module in modules for name in _matrices(module, embeddings)]


def _matrices(module: nn.Module, embeddings: bool) -> tuple[str, ...]:
    """Names of the module's own parameters that multiply token states, or are looked up."""
    from transformers.models.xlnet.modeling_xlnet import XLNetRelativeAttention
    from transformers.pytorch_utils import Conv1D  # GPT-2's name for a linear layer

    match module:
        case nn.Linear() | Conv1D():
            return ("weight",)
        case nn.Embedding():
            return ("weight",) if embeddings else ()
        case XLNetRelativeAttention():  # bare parameters, no layers
            return ("q", "k", "v", "o", "r")
    return ()


def cubic_sparsity(step: int, ramp_steps: int, final: float) -> float:
    """Sparsity at a step: final x (1 - (1 - step / ramp)^3), from 0 to `final`. Zhu and Gupta 2017, eq. 1."""
    progress = min(1.0, step / max(1, ramp_steps))
    return final * (1 - (1 - progress) ** 3)


def magnitude_masks(weights: list[Tensor], sparsity: float, per_layer: bool) -> list[Tensor]:
    """0/1 masks that take out exactly round(sparsity x n) of the smallest magnitudes, over all or in each tensor."""
    if per_layer:
        return [_mask(weight.abs().flatten(), sparsity).view_as(weight) for weight in weights]
    together = _mask(torch.cat([weight.abs().flatten() for weight in weights]), sparsity)
    parts = together.split([weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]


def _mask(sizes: Tensor, sparsity: float) -> Tensor:
    mask = torch.ones_like(sizes)
    count = round(sparsity * sizes.numel())
    if count:
        mask[torch.topk(sizes, count, largest=False).indices] = 0
    return mask


def _ramp_steps(total: int) -> int:
    return max(1, int(total * _RAMP))


class _Masks(StepHook):
    """Raises the sparsity along the schedule; torch's pruning hooks keep the masked weights at zero in between."""

    def __init__(self, weights: list[Weight], config: PruneMagnitude) -> None:
        self.weights, self.config = weights, config
        self.alive = [layer.get_buffer(f"{name}_mask").clone() for layer, name in weights]

    def before_step(self, step: int, total: int) -> None:
        ramp = _ramp_steps(total)
        every = max(1, ramp // _UPDATES)
        if step <= ramp and (step % every == 0 or step == ramp):
            self.set_sparsity(cubic_sparsity(step, ramp, self.config.final_sparsity))

    def settled(self, steps: int, total: int) -> bool:
        """Not while weights are still being taken out: the best epoch would be the one with the most of them."""
        return steps > _ramp_steps(total)

    @torch.no_grad()
    def set_sparsity(self, sparsity: float) -> None:
        """Masks anew by the weights as they are; a weight already at zero under its mask stays the smallest.

        What was zero at the start stays so, also while the schedule asks for fewer zeros than there were.
        """
        kept = [layer.get_parameter(f"{name}_orig") * layer.get_buffer(f"{name}_mask") for layer, name in self.weights]
        found = magnitude_masks(kept, sparsity, self.config.scope == "layer")
        for (layer, name), weight, mask, alive in zip(self.weights, kept, found, self.alive, strict=True):
            mask = mask * alive
            layer.get_buffer(f"{name}_mask").copy_(mask)
            setattr(layer, name, weight * mask)
