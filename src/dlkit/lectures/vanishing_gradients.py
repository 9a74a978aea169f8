"""Through ten layers of sigmoids the gradient vanishes, with too large weights it explodes; batch norm mends both.

Gradients are those of the first batch, before the first update. It is not the sigmoid alone: its derivative is at most
1/4, so each layer of weights N(0, 2/n) makes the gradient smaller, but one of N(0, 1) hardly. These larger weights make
tanh's gradient grow from layer to layer towards the input; ReLU's is too large in all layers alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlkit import runs as saved
from dlkit.build import build
from dlkit.lectures.finding import Check, Done, Finding, at_least, at_most
from dlkit.plots.style import axes_of, blank, line

ACTIVATIONS, TITLES = ("sigmoid", "tanh", "relu"), ("sigmoid", "tanh", "ReLU")
HIGHEST = 4  # loss in the picture
Case = tuple[str, str, bool]  # activation, init, batch norm


def figure(runs: Sequence[Done]) -> Finding:
    picture = blank(8.2, 5)
    axes = axes_of(picture, 2, 3, sharey="row")
    norms: dict[Case, list[float]] = {}
    last: dict[Case, float] = {}
    for run in runs:
        name, init, norm = run.options["model.activation"], run.choices["init"], run.options["model.batch_norm"]
        column, norms[name, init, norm] = ACTIVATIONS.index(name), gradients(run)
        steps, losses = run.curve("train/loss")
        last[name, init, norm] = losses[-1]
        label = ("N(0, 2/n)" if init == "kaiming" else "N(0, 1)") + ", batch norm" * norm
        look = line((init == "normal") + 2 * norm) | {"linestyle": "--" if norm else "-", "label": label}
        axes[column].plot(range(1, 1 + len(norms[name, init, norm])), norms[name, init, norm], **look)
        axes[3 + column].plot(steps, losses, **look)
    for i, name in enumerate(ACTIVATIONS):
        axes[i].set(title=TITLES[i], xlabel="layer", yscale="log", xticks=(1, 4, 7, 10))
        axes[3 + i].set(xlabel="step", ylim=(0, HIGHEST))
        above = [f"N(0, 1): {loss:.2g}" for loss in [last[name, "normal", False]] if loss > HIGHEST]
        axes[3 + i].text(100, 0.95 * HIGHEST, "".join(above), ha="right", va="top", color=line(1)["color"])
    axes[0].set(ylabel="gradient norm at the start")
    axes[3].set(ylabel="training loss")
    picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return Finding(picture, _checks(norms, last))


def gradients(run: Done) -> list[float]:
    """The norm of the loss's gradient by the weights of each layer, before the first update of the run."""
    begun = build(saved.completed(run.config), Path())
    begun.state.train_mode()
    begun.engine.backward(next(begun.data.train(0)))
    return [p.grad.norm().item() for p in begun.state.model.parameters() if p.ndim == 2 and p.grad is not None]


def _checks(norms: dict[Case, list[float]], last: dict[Case, float]) -> list[Check]:
    ratio = {case: layers[0] / layers[-1] for case, layers in norms.items()}
    normed = [value for (_, _, norm), value in ratio.items() if norm]
    return [
        at_most("gradient of the first layer / the last: sigmoid", ratio["sigmoid", "kaiming", False], 1e-3),
        at_least("tanh", ratio["tanh", "kaiming", False], 0.1),
        at_least("ReLU", ratio["relu", "kaiming", False], 0.1),
        at_least("tanh, weights N(0, 1)", ratio["tanh", "normal", False], 100),
        at_least("gradient of the first layer: ReLU, weights N(0, 1)", norms["relu", "normal", False][0], 1e5),
        at_least("first / last with batch norm, the least of all", min(normed), 0.03),
        at_most("first / last with batch norm, the largest of all", max(normed), 30),
        at_least("loss after 100 steps: sigmoid (ln 10 is 2.303)", last["sigmoid", "kaiming", False], 2.2),
        at_most("sigmoid with batch norm", last["sigmoid", "kaiming", True], 1),
        at_most("ReLU", last["relu", "kaiming", False], 1),
    ]
