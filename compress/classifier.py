"""A text classifier as a torch module: an encoder, and how its token states become logits."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.recipe.students import Pooling
from compress.tokenizer import Batch

_POOLED_WIDTHS = {"cls": 1, "mean": 1, "max": 1, "mean_max": 2, "last4": 1}


def pool(states: Tensor, mask: Tensor, pooling: Pooling, cls_last: bool = False) -> Tensor:
    """Token states (B, T, H) and attention mask (B, T) to one vector a text: (B, H), or (B, 2H) for mean_max.

    Padded positions never count. cls: the first token that is not padding, or with cls_last the last. last4 expects the
    mean of the last four layers' states (Devlin et al. 2019, section 5.3, averaged instead of concatenated) and takes
    their mean.
    """
    weights = mask.unsqueeze(-1).to(states.dtype)
    if pooling == "cls":
        place = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1) if cls_last else mask.argmax(dim=1)
        return states[torch.arange(states.shape[0], device=states.device), place]
    mean = (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
    if pooling in {"mean", "last4"}:
        return mean
    # a finite floor: -inf would survive as NaN gradients and as constants that spoil quantization
    highest = states.masked_fill(weights == 0, -1e4).max(dim=1).values
    return highest if pooling == "max" else torch.cat([mean, highest], dim=-1)


class Classifier(nn.Module):
    """An encoder with a pooling head, or (pooling "own") the architecture's own sequence classifier.

    Returns logits (B, L). head: dropout and one linear layer.
    """

    def __init__(self, encoder: nn.Module, pooling: Pooling, labels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        # XLNet's <cls> ends the text (Yang et al. 2019, section 2.5)
        self.cls_last = getattr(encoder.config, "model_type", None) == "xlnet"
        self.dropout = nn.Dropout(dropout)
        if pooling != "own":
            self.head = nn.Linear(_POOLED_WIDTHS[pooling] * hidden_width(encoder.config), labels)
            nn.init.normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)

    @property
    def config(self) -> Any:
        """The encoder's transformers configuration."""
        return self.encoder.config

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Logits (B, L) of token ids (B, T)."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        if self.pooling == "own":
            return self.encoder(**inputs).logits
        deep = self.pooling == "last4"
        output = self.encoder(**inputs, output_hidden_states=deep)
        states = torch.stack(output.hidden_states[-4:]).mean(dim=0) if deep else output.last_hidden_state
        return self.head(self.dropout(pool(states, attention_mask, self.pooling, self.cls_last)))


def to_bf16(model: Classifier) -> None:
    """From here on weights and arithmetic are in bf16, but for the last linear layer.

    Logits of bf16's 8 binary digits would tie in ranks and sit beside their thresholds.
    """
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    whole = {name: value.clone() for name, value in last.state_dict().items()}
    model.bfloat16()
    last.float().load_state_dict(whole)
    last.register_forward_pre_hook(_in_fp32)


def _in_fp32(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.float() for tensor in given)


def hidden_width(config: Any) -> int:
    """Width H of the token states, by optimum's table of config names (XLNet is not in it)."""
    from optimum.utils import NormalizedConfigManager

    try:
        normalized = NormalizedConfigManager.get_normalized_config_class(config.model_type)
    except KeyError:
        return int(config.hidden_size)
    return int(normalized(config).hidden_size)


def forward(model: nn.Module, batch: Batch, device: str) -> NDArray[np.float32]:
    """Logits (B, L) in host memory of one padded batch, without gradients."""
    with torch.inference_mode():
        inputs = {name: torch.from_numpy(value).to(device) for name, value in batch.items()}
        return model(**inputs).float().cpu().numpy()
