"""What can be seen to go wrong in a run: a line each, with the numbers, the likely cause, and options to try.

Every function gives the line, or None where all is well. Thresholds are far from what healthy runs show: who is warned
without need stops reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from dlkit import probe
from dlkit.probe import Activity
from dlkit.settings import as_text
from dlkit.state import State

Config = Mapping[str, Any]

LARGE = 10.0  # mean |x| of an input: gradients grow with x, so a rate that suits inputs of size 1 is 10 times too high
UNSCALED = 2.0  # mean |x|: of what is standardised it is about 0.8, of what is between 0 and 1 less than 1
UNLIKE = 100.0  # largest / smallest mean |x|: the rates that suit are as far apart as their squares
FAR_LOSS = 3.0  # first loss / that of guessing; N(0, 2/n) weights, the largest of the usual inits, give 1.7 at most
UNEVEN = 1e-4  # largest gradient of the first layer / of the last, or inverse; 0.01 to 100 in nets that train
EXPLODED = 100.0  # ‖gradient‖ / ‖weights‖ of a layer: a step at rate 0.01 would replace the weights
SMALL = 0.01  # rms that weights are taken to have at least: those that begin at 0 have no norm to compare with
SATURATED = 0.5  # of a layer's outputs
DEAD = 0.8  # of a layer's units; in deep layers half of them are by chance
RISEN = 1.25  # val/loss / the least so far …
FELL = 0.8  # … while train/loss fell to this part
SENSIBLE = 0.05  # of the loss of guessing: a smaller rise does not matter, whatever its ratio


def inputs(state: State, x: Tensor) -> str | None:
    """Inputs x (N, …) with columns or channels that are large, or of very different size."""
    sizes = _sizes(state, x)
    if not sizes:
        return None
    small, large = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    if sizes[large] <= UNSCALED or sizes[large] <= min(LARGE, UNLIKE * sizes[small]):
        return None
    seen = f"{large} is {sizes[large]:.3g} on average" + f", {small} {sizes[small]:.3g}" * (small != large)
    return f"inputs are not scaled: |{seen}|; gradients grow with them, so no rate suits.{tries(state.config, SCALED)}"


def first_loss(loss: float, guess: float, config: Config) -> str | None:
    """The loss before training, and that of outputs 0, which are a guess without weights: ln K of K classes."""
    if loss <= FAR_LOSS * guess:
        return None
    remedy = tries(config, SCALED, "init=kaiming", "init=xavier")
    return (
        f"the first loss is {loss:.3g}, guessing would have {guess:.3g}: initial weights or inputs are large.{remedy}"
    )


@torch.no_grad()
def equal_units(model: nn.Module, config: Config) -> str | None:
    """A hidden layer whose units have equal weights, on the way in and on the way out: so have their gradients."""
    kinds = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase)
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, kinds)]
    for (name, module), (_, after) in pairwise(found):
        leaving = next(after.parameters()).flatten(1)
        units = len(next(module.parameters()))
        if units < 2 or not _alike(leaving.T):
            continue
        if all(_alike(p) for p in module.parameters(recurse=False)):
            remedy = tries(config, "init=xavier", "init=kaiming")
            called = probe.label(name, module)
            return (
                f"all units of {called} begin with the same weights: they get the same gradients, and stay one.{remedy}"
            )
    return None


def uneven_gradients(state: State) -> str | None:
    """Gradients that vanish or grow from the last layer to the first, or that are far larger than the weights."""
    rows = {name: (g, p) for name, g, p in _matrices(state.model)}
    if len(rows) < 2:
        return None
    figures = [[g.abs().amax(), _rms(g), _rms(p.detach())] for g, p in rows.values()]
    sizes = torch.stack([torch.stack(each) for each in figures]).tolist()  # sync point
    (first, *_, last), (low, *_, high) = rows, (largest for largest, _, _ in sizes)
    seen = f"the largest gradient is {low:.2g} in {first}, {high:.2g} in {last}"
    config = state.config
    if 0 < low < UNEVEN * high:  # 0: what stands after it is dead
        remedy = tries(config, "model.activation=relu", "model.batch_norm=true", "init=xavier")
        return f"gradients vanish on their way back: {seen}; the first layers hardly learn.{remedy}"
    clip = "callbacks.grad_clip.max_norm=1"
    if 0 < high < UNEVEN * low:
        return f"gradients explode on their way back: {seen}; weights are large.{tries(config, 'init=kaiming', clip)}"
    ratios = {name: g / max(w, SMALL) for name, (_, g, w) in zip(rows, sizes, strict=True)}
    name, ratio = max(ratios.items(), key=lambda item: item[1])
    if ratio <= EXPLODED:
        return None
    remedy = tries(config, SCALED, "data.scale_target=true", "init=kaiming", clip, lower_rate(config))
    return (
        f"gradients explode: that of {name} is {ratio:.3g} x its weights; these, inputs or targets are large.{remedy}"
    )


def saturation(found: Mapping[str, Activity], config: Config) -> str | None:
    """A layer most of whose outputs are where its function is flat."""
    worst = max(found.items(), key=lambda item: item[1].saturated or 0, default=None)
    if worst is None or (share := worst[1].saturated or 0) <= SATURATED:
        return None
    remedy = tries(config, "init=xavier", SCALED, "model.batch_norm=true", lower_rate(config))
    seen = f"{share:.0%} of the outputs of {worst[0]} are saturated"
    return f"{seen}, where its slope is next to 0, so the layers before it do not learn (network paralysis).{remedy}"


def dead_units(found: Mapping[str, Activity], examples: int, config: Config) -> str | None:
    """A layer most of whose ReLUs give 0 whatever the example."""
    worst = max(found.items(), key=lambda item: item[1].dead or 0, default=None)
    if worst is None or (share := worst[1].dead or 0) <= DEAD:
        return None
    remedy = tries(
        config, lower_rate(config), "model.activation=leaky_relu", "init=kaiming", "callbacks.grad_clip.max_norm=1"
    )
    seen = f"{share:.0%} of the units of {worst[0]} are dead, 0 for all of {examples} examples"
    return f"{seen}: they get no gradient any more; often the rate was too high.{remedy}"


def divergence(loss: float, start: float, known: bool, rate: float, config: Config) -> str:
    """For a training loss above that at the start; where this is not `known`, above that of guessing."""
    remedy = tries(config, lower_rate(config), "scheduler.warmup_steps=100", "callbacks.grad_clip.max_norm=1")
    where, more = ("at the start", "") if known else ("of guessing", ", or weights are large")
    seen = f"train/loss is {loss:.3g}, above {start:.3g} {where}"
    return f"{seen}: the learning rate {rate:.3g} is too high{more}.{remedy}"


def overfitting(
    now: tuple[float, float], best: tuple[float, float], step: int, guess: float, config: Config
) -> str | None:
    """Validation and training loss now, and when the first was least, at `step`; `guess` is the loss of guessing."""
    (val, train), (least, then) = now, best
    if val <= max(RISEN * least, least + SENSIBLE * guess) or train > FELL * then:
        return None
    names = ("callbacks.early_stop.patience=5", "model.dropout=0.5", "regularizer=l2", "data.augment.shift=0.1")
    seen = f"val/loss rose from {least:.3g} (step {step}) to {val:.3g}, train/loss fell from {then:.3g} to {train:.3g}"
    return f"{seen}: it learns its examples by heart. More of them help.{tries(config, *names)}"


SCALED = "data.normalize=standardize"


def tries(config: Config, *overrides: str) -> str:
    """` Try a, b or c`: those whose option this run has, and that change something."""
    named = [one for one in overrides if _changes(config, *one.partition("=")[::2])]
    return f" Try {', '.join(named[:-1])} or {named[-1]}" if len(named) > 1 else f" Try {named[0]}" if named else ""


def lower_rate(config: Config) -> str:
    """A tenth of the learning rate, as an override; of a run without one, nothing that it has."""
    rate = (config.get("optim") or {}).get("lr")
    return f"optim.lr={rate / 10:.3g}" if isinstance(rate, int | float) else ""


def _changes(config: Config, key: str, value: str) -> bool:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    if isinstance(node, Mapping):  # the choice of a group
        return str(node.get("_target_")).rpartition(".")[2] != value
    return as_text(node) != value


def _sizes(state: State, x: Tensor) -> dict[str, float]:
    """Mean |x| of every column of numbers, or channel; not of columns of nothing but 0 and 1, which count words."""
    spec = state.spec
    if spec.kind not in ("tabular", "image") or not x.is_floating_point() or x.dim() < 2:
        return {}
    columns = x.transpose(0, 1).flatten(1)[: x.shape[1] - len(spec.cardinalities)].abs().float()
    counts = ((columns == 0) | (columns == 1)).all(1)
    sizes = torch.stack([columns.mean(1), counts.float()]).tolist()  # robust: one large value in 256 does not decide
    names = list(getattr(state.data and state.data.encoder, "number_names", []))
    names += [f"{'channel' if spec.kind == 'image' else 'column'} {i}" for i in range(len(names), len(columns))]
    return {name: size for name, size, is_count in zip(names, *sizes, strict=False) if size > 0 and not is_count}


def _matrices(model: nn.Module) -> list[tuple[str, Tensor, Tensor]]:
    """Gradient and weights of every layer but norms and embeddings, of which a batch knows few rows."""
    found = []
    for name, module in model.named_modules():
        p = next(module.parameters(recurse=False), None)
        if (
            p is not None
            and p.grad is not None
            and p.dim() > 1
            and not isinstance(module, nn.Embedding | nn.EmbeddingBag)
        ):
            found.append((probe.label(name, module), p.grad, p))
    return found


def _rms(tensor: Tensor) -> Tensor:
    return tensor.square().mean().sqrt()


def _alike(rows: Tensor) -> bool:
    return torch.equal(rows[0], rows[-1]) and bool((rows == rows[:1]).all())  # mostly two rows tell
