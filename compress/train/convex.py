"""Linear models of sparse features, fitted to a convex loss on all rows at once: near its one optimum, no chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

# of L-BFGS at most, whether or not the loss still falls
_MOST_STEPS = 100
# how little the loss may still fall: as a share of it, and below a loss of 1 as it is (SciPy's ftol)
_ENOUGH = 1e-6
_LEAST_RATE = 1e-4


@dataclass(frozen=True)
class Aim:
    """What logits are to come near: one term of the loss, temperature^2 x weight x cross-entropy at the temperature.

    targets: probabilities (N, L), of a regression values. weights: (N, L), or (N, 1) for rows as a whole.
    """

    targets: Floats
    weights: Floats
    temperature: float = 1.0


@dataclass(frozen=True)
class Linear:
    """logits = features x weights + bias. weights: (V, L), bias: (L,), float64."""

    weights: Floats
    bias: Floats

    def logits(self, features: Any) -> Floats:
        """(N, L) of features (N, V)."""
        return np.asarray(features @ self.weights.astype(features.dtype) + self.bias)


LossOfLogits = Callable[[Floats], tuple[float, Floats]]
"""Logits (N, L) to the loss and its gradient (N, L)."""


def loss_of(aims: Sequence[Aim], task_type: str) -> LossOfLogits:
    """The sum of all aims' terms: Bernoulli or softmax cross-entropy (summed over labels), or squared error halved."""
    pieces = {"multi_label": _bernoulli, "single_label": _softmax, "regression": _squares}[task_type]

    def loss(logits: Floats) -> tuple[float, Floats]:
        total, gradient = 0.0, np.zeros_like(logits)
        for aim in aims:
            value, slope = pieces(logits / aim.temperature, aim.targets)
            total += aim.temperature**2 * float((value * aim.weights).sum())
            gradient += aim.temperature * slope * aim.weights
        return total, gradient

    return loss


def fit(
    features: Any, loss: LossOfLogits, penalty: float, start: Linear, steps: int = _MOST_STEPS, enough: float = _ENOUGH
) -> Linear:
    """Weights and bias near the least loss + penalty / 2 x the sum of squared weights, by L-BFGS (Liu, Nocedal 1989).

    features: SciPy CSR (N, V). The bias is free of penalty. start: where to begin; how near the one optimum the fit
    comes depends on it. It ends after `steps`, or where the loss falls by less than `enough` of itself, or of 1 where
    it is below.
    """
    from scipy.optimize import minimize

    transposed = features.T.tocsr()
    terms = features.shape[1]
    outputs = len(start.bias)

    def objective(flat: Floats) -> tuple[float, Floats]:
        whole = flat.reshape(terms + 1, outputs)
        weights = whole[:terms]
        value, slope = loss(features @ weights.astype(features.dtype) + whole[terms])
        gradient = np.empty_like(whole)
        gradient[:terms] = transposed @ slope.astype(features.dtype) + penalty * weights
        gradient[terms] = slope.sum(axis=0)
        return value + penalty / 2 * float((weights**2).sum()), gradient.ravel()

    flat = np.vstack([start.weights, start.bias]).ravel()
    options = {"maxiter": steps, "ftol": enough, "gtol": 1e-9}
    found = minimize(objective, flat, jac=True, method="L-BFGS-B", options=options).x.reshape(terms + 1, outputs)
    return Linear(found[:terms], found[terms])


def first_guess(features: Any, aims: Sequence[Aim], task_type: str) -> Linear:
    """Weights of zero, and the bias that alone fits the mean of the aims' targets: where a fit begins."""
    weight = sum(np.broadcast_to(aim.weights, aim.targets.shape).sum(axis=0) for aim in aims)
    mean = sum((aim.targets * aim.weights).sum(axis=0) for aim in aims) / np.maximum(weight, 1e-12)
    outputs = aims[0].targets.shape[1]
    rate = np.clip(mean, _LEAST_RATE, 1 - _LEAST_RATE)
    bias = {"multi_label": np.log(rate / (1 - rate)), "single_label": np.log(rate), "regression": mean}[task_type]
    return Linear(np.zeros((features.shape[1], outputs)), np.asarray(bias, np.float64))


def largest(linear: Linear, spread: Floats, most: int) -> NDArray[np.int64]:
    """Places (at most `most`,) of the terms that move a logit furthest, in rising order. spread: of each term (V,)."""
    size = np.abs(linear.weights).max(axis=1) * spread
    return np.sort(np.argsort(-size, kind="stable")[:most])


def best_penalty(
    features: Any,
    loss: LossOfLogits,
    start: Linear,
    penalties: Sequence[float],
    score: Callable[[Linear], float],
) -> Linear:
    """The fit of best score along falling penalties, each begun at the one before; ends where the score does not rise.

    The first where nothing can be scored.
    """
    best, highest = None, float("-inf")
    for penalty in penalties:
        start = fit(features, loss, penalty, start)
        found = score(start)
        if best is not None and found <= highest:
            break
        best, highest = start, found
    return best or start


def _bernoulli(logits: Floats, targets: Floats) -> tuple[Floats, Floats]:
    return np.logaddexp(0, logits) - targets * logits, 1 / (1 + np.exp(-np.clip(logits, -700, 700))) - targets


def _softmax(logits: Floats, targets: Floats) -> tuple[Floats, Floats]:
    from scipy.special import log_softmax

    logs = log_softmax(logits, axis=1)
    return -targets * logs, np.exp(logs) * targets.sum(axis=1, keepdims=True) - targets


def _squares(outputs: Floats, targets: Floats) -> tuple[Floats, Floats]:
    return (outputs - targets) ** 2 / 2, outputs - targets
