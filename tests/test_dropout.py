"""Dropout from 16 bits an element: the same law as torch's own, its own numbers."""

import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from compress.memory import keep_freed_memory
from compress.train.dropout import QuickDropout, quick_dropout


@given(
    share=st.floats(0.0, 0.9) | st.just(1.0),
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_an_element_is_zero_or_scaled_so_that_the_mean_stays(share: float, shape: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    found = QuickDropout(share)(torch.ones(shape))
    assert found.shape == torch.Size(shape)
    kept = found[found != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share) if share < 1 else 0.0), rtol=1e-3, atol=0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_of_zeros_is_the_one_asked_for_and_neighbours_are_independent(share: float) -> None:
    torch.manual_seed(13)
    zero = (QuickDropout(share)(torch.ones(400_000)) == 0).float()
    deviation = (share * (1 - share) / len(zero)) ** 0.5
    assert abs(zero.mean().item() - share) < 5 * deviation
    # four elements share one draw: each pair of them must be as independent as any
    quads = zero.view(-1, 4)
    correlation = torch.corrcoef(quads.T) - torch.eye(4)
    assert correlation.abs().max() < 5 / len(quads) ** 0.5


def test_the_gradient_passes_where_the_element_did() -> None:
    torch.manual_seed(0)
    values = torch.randn(50, 3, requires_grad=True)
    found = QuickDropout(0.4)(values)
    found.sum().backward()
    torch.testing.assert_close(values.grad, found.detach() / values.detach())


def test_the_seed_decides_and_evaluation_changes_nothing() -> None:
    layer, values = QuickDropout(0.5), torch.randn(9, 9)

    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return layer(values)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    assert torch.equal(layer.eval()(values), values)


def test_a_model_has_its_own_dropout_back_afterwards_also_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.2), nn.Sequential(nn.Dropout(0.3)))
    names = list(model.state_dict())

    def stopped_inside() -> None:
        with quick_dropout(model):
            assert [type(model[1]), type(model[2][0])] == [QuickDropout, QuickDropout]
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stopped_inside()
    assert [type(model[1]), type(model[2][0])] == [nn.Dropout, nn.Dropout]
    assert list(model.state_dict()) == names


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the switch")
def test_glibc_takes_both_settings() -> None:
    assert keep_freed_memory()
