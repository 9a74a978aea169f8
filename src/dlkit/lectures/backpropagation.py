"""The backward pass is the chain rule, neuron by neuron: by hand it gives autograd's gradients and the same training.

Two layers, `h = σ(W₁x + b₁)`, `s = σ(W₂h + b₂)`. For `L = (s − y)²/2` the output's part is `∂L/∂s = s − y`, its delta
`δ₂ = (s − y) s (1 − s)`; the hidden deltas are `δ₁ = (W₂ᵀδ₂) h (1 − h)`, and a weight's gradient is the delta behind it
times the value before it. With the cross-entropy `s (1 − s)` cancels: `δ₂ = s − y`, so a unit that is sure and wrong
still learns. The run was trained with it; 100 of its steps are made again by hand, from its weights at step 300.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from dlkit.lectures.finding import Done, Finding, at_most
from dlkit.plots.net import net
from dlkit.plots.style import axes_of, blank

Net = dict[str, np.ndarray]  # W₁ (H, F), b₁ (H,), W₂ (1, H), b₂ (1,) as "W1", "b1", "W2", "b2"
FROM = 300  # the step from which the run is made again
STEP = 1e-6  # of finite differences


def figure(runs: Sequence[Done]) -> Finding:
    (run,) = runs
    batch = run.examples("train")
    x, y = batch.x.double().numpy(), batch.y.double().numpy()[:, None]
    first, last = weights(run, f"step-{FROM}"), weights(run, "last")
    checks = []
    for name, (loss, delta) in LOSSES.items():
        by_hand = backward(last, x, y, delta)
        checks += [
            at_most(f"{name}: by hand − autograd", _largest(by_hand, by_autograd(last, x, y, loss)), 1e-12),
            at_most(f"{name}: by hand − finite differences", _largest(by_hand, by_differences(last, x, y, loss)), 1e-7),
        ]
    again, rate = first, run.options["optim.lr"]
    for _ in range(run.result["step"] - FROM):
        gradient = backward(again, x, y, LOSSES["cross-entropy"][1])
        again = {key: value - rate * gradient[key] for key, value in again.items()}
    moved, apart = _largest(first, last), _largest(again, last)
    checks.append(at_most("100 steps by hand: difference to dlkit's, of the way they went", apart / moved, 1e-3))
    picture = blank(10, 6)
    (axes,) = axes_of(picture)
    example = slice(0, 1)
    values, deltas = passes(last, x[example], y[example], LOSSES["squared error"][1])
    gradients = backward(last, x[example], y[example], LOSSES["squared error"][1])
    net(
        axes,
        values=[x[0], values["h"][0], values["s"][0]],
        deltas=[None, deltas["1"][0], deltas["2"][0]],
        weights=[last["W1"], last["W2"]],
        gradients=[gradients["W1"], gradients["W2"]],
    )
    error = values["s"][0, 0] - y[0, 0]
    axes.set_title(
        f"one example, y = {y[0, 0]:g}:  L = (s − y)²/2 = {error**2 / 2:.3g},  ∂L/∂s = s − y = {error:.3g}".replace(
            "-", "−"
        )
    )
    return Finding(picture, checks)


def passes(net: Net, x: np.ndarray, y: np.ndarray, delta: Callable[..., np.ndarray]) -> tuple[Net, Net]:
    """Forward: h (N, H) and s (N, 1). Backward: the deltas `∂L/∂z` of each example, "1" (N, H) and "2" (N, 1)."""
    h = sigmoid(x @ net["W1"].T + net["b1"])
    s = sigmoid(h @ net["W2"].T + net["b2"])
    output = delta(s, y)
    hidden = output @ net["W2"] * h * (1 - h)
    return {"h": h, "s": s}, {"1": hidden, "2": output}


def backward(net: Net, x: np.ndarray, y: np.ndarray, delta: Callable[..., np.ndarray]) -> Net:
    """The gradient of the mean loss: delta times what comes in, averaged over the examples."""
    values, deltas = passes(net, x, y, delta)
    n = len(x)
    return {
        "W1": deltas["1"].T @ x / n,
        "b1": deltas["1"].mean(0),
        "W2": deltas["2"].T @ values["h"] / n,
        "b2": deltas["2"].mean(0),
    }


def sigmoid(z: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-z)))


def by_autograd(net: Net, x: np.ndarray, y: np.ndarray, loss: Callable[..., torch.Tensor]) -> Net:
    """The same by torch, which is told the forward pass only."""
    tensors = {key: torch.from_numpy(value).clone().requires_grad_() for key, value in net.items()}
    h = torch.sigmoid(torch.from_numpy(x) @ tensors["W1"].T + tensors["b1"])
    s = torch.sigmoid(h @ tensors["W2"].T + tensors["b2"])
    loss(s, torch.from_numpy(y)).mean().backward()
    return {key: tensor.grad.numpy() for key, tensor in tensors.items() if tensor.grad is not None}


def by_differences(net: Net, x: np.ndarray, y: np.ndarray, loss: Callable[..., torch.Tensor]) -> Net:
    """The same by `(L(w + ε) − L(w − ε)) / 2ε`, weight by weight."""

    def mean_loss(key: str, place: tuple[int, ...], change: float) -> float:
        moved = {**net, key: net[key].copy()}
        moved[key][place] += change
        values = passes(moved, x, y, lambda s, y: s)[0]
        return float(loss(torch.from_numpy(values["s"]), torch.from_numpy(y)).mean())

    def slope(key: str, place: tuple[int, ...]) -> float:
        return (mean_loss(key, place, STEP) - mean_loss(key, place, -STEP)) / (2 * STEP)

    return {
        key: np.array([slope(key, place) for place in np.ndindex(value.shape)]).reshape(value.shape)
        for key, value in net.items()
    }


def weights(run: Done, checkpoint: str) -> Net:
    """The net's weights in double precision."""
    found = [p.detach().double().numpy() for p in run.model(checkpoint).model.parameters()]
    return dict(zip(("W1", "b1", "W2", "b2"), found, strict=True))


def _largest(one: Net, other: Net) -> float:
    return max(float(np.abs(one[key] - other[key]).max()) for key in one)


# The loss of s (N, 1) and y, for torch; and its delta ∂L/∂z of the output, by hand.
LOSSES: dict[str, tuple[Callable[..., torch.Tensor], Callable[..., np.ndarray]]] = {
    "squared error": (lambda s, y: (s - y).square() / 2, lambda s, y: (s - y) * s * (1 - s)),
    "cross-entropy": (lambda s, y: -(y * s.log() + (1 - y) * (1 - s).log()), lambda s, y: s - y),
}
