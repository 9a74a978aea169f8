"""Which words of a text spoke for the model's answer, and which against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

SHOWN = 60  # tokens of a text at most: those around what mattered most
ESCAPED = {ord(c): f"&#{ord(c)};" for c in "\\`*_[]<>&|~!\r"}  # what Markdown would take for marks
MATTERS = 0.25  # of the largest relevance in the text: words with less are left plain


def relevance(model: nn.Module, x: Tensor, score: Callable[[Tensor], Tensor]) -> Tensor | None:
    """Gradient × input of every token, `Σ_d e_d ∂s/∂e_d` for its vector e and the example's score s: (B, T) -> (B, T).

    `score` takes outputs (B, K) to s (B,). Of a model that is linear in the vectors they add up to s without its bias.
    What n-grams that are looked up behind the words contribute is shared by their words. None for a model that looks
    the tokens up in no `nn.Embedding`. Leaves gradients and hooks as they are; the mode is the caller's.
    """
    vectors: list[Tensor] = []

    def leaf(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor | None:
        if vectors or inputs[0].dim() != 2 or not torch.equal(inputs[0][:, : x.shape[1]], x):
            return None  # positions, say
        vectors.append(out.detach().requires_grad_())
        return vectors[-1]

    hooks = [one.register_forward_hook(leaf) for one in model.modules() if isinstance(one, nn.Embedding)]
    try:
        # cudnn's recurrent layers have gradients in training mode alone; torch's own in both
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            total = score(model.forward(x)).sum()  # not what torch.compile made of it, which would not see the hooks
            gradient = torch.autograd.grad(total, vectors)[0] if vectors else None
    finally:
        for hook in hooks:
            hook.remove()
    return None if gradient is None else _of_words((gradient * vectors[0].detach()).sum(-1), x.shape[1])


def _of_words(each: Tensor, steps: int) -> Tensor:
    """(B, n · steps), the words and then n-grams by the place of their first word -> (B, steps)."""
    words, *grams = each.split(steps, 1)
    total = words.clone()
    for n, gram in enumerate(grams, start=2):
        for i in range(min(n, steps)):
            total[:, i:] += gram[:, : steps - i] / n
    return total


def marked(words: Sequence[str], weights: Sequence[float]) -> str:
    """The text in Markdown: in bold what has a weight above 0, in italics what has one below it, where it matters.

    Of a long text the `SHOWN` words around what matters most.
    """
    first = _window([abs(weight) for weight in weights])
    shown = list(zip(words, weights, strict=True))[first : first + SHOWN]
    least = MATTERS * max((abs(weight) for _, weight in shown), default=0.0)
    parts: list[tuple[str, str]] = []  # runs of words that look alike: their tag and text
    for word, weight in shown:
        tag = "" if weight == 0 or abs(weight) < least else "strong" if weight > 0 else "em"
        if parts and parts[-1][0] == tag:
            word = parts.pop()[1] + word
        parts.append((tag, word))
    text = "".join(f"<{tag}>{plain(run)}</{tag}>" if tag else plain(run) for tag, run in parts)
    return f"{'… ' if first else ''}{text}{' …' if first + SHOWN < len(words) else ''}"


def plain(text: str) -> str:
    """Text in one line that Markdown takes for nothing else."""
    return " ".join(text.split("\n")).translate(ESCAPED)


def _window(weights: Sequence[float]) -> int:
    """Where the `SHOWN` neighbours begin whose sum is largest."""
    before = [0.0, *accumulate(weights)]
    return max(range(max(0, len(weights) - SHOWN) + 1), key=lambda i: before[min(i + SHOWN, len(weights))] - before[i])
