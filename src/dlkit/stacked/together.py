"""Training steps and evaluations of several runs at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.func import vmap

from dlkit.build import Experiment
from dlkit.data.resident import ResidentData
from dlkit.ema import Ema
from dlkit.engine import Engine
from dlkit.regularizers import zero_weights
from dlkit.stacked.forward import Forward, Refused, Tensors
from dlkit.stacked.stack import Stack, stacked_states
from dlkit.stacked.update import Update
from dlkit.types import Batch

Figures = dict[str, float]


class Together:
    """What `Engine` does for one run, for K of them: each sees its own batch (B, …) of batches (K, B, …).

    Raises Refused for what cannot be stacked.
    """

    def __init__(self, runs: Sequence[Experiment]):
        self.runs, self.engines = list(runs), [run.engine for run in runs]
        self.first = self.engines[0]
        _check(runs)
        self.stack = Stack([run.state for run in runs])
        self.forward = Forward(self.stack.models)
        self.update = Update(self.stack)
        self.same_loss = all(run.state.config["loss"] == runs[0].state.config["loss"] for run in runs)
        self.losses = [torch.stack(each) for each in zip(*(run.state.losses for run in runs), strict=True)]
        self.logged = [0] * len(runs)  # how many of these each run has logged
        self.share: Tensor | None = None  # of each example in its run's gradient, 1 / B, as the losses' own gradient
        self.good_buffers = [buffer.clone() for buffer in self.stack.buffers.values()]

    def backward(self, batch: Batch) -> None:
        """Stacked gradients of every run's mean loss and penalties."""
        for good, buffer in zip(self.good_buffers, self.stack.buffers.values(), strict=True):
            good.copy_(buffer)
        for p in self.stack.trained.values():
            p.grad = None
        self.forward.training = True
        out = self._outputs(self.stack.tensors, batch.x)
        losses = self._per_example(out, batch.y)
        if self.share is None or self.share.shape != losses.shape:
            self.share = torch.full_like(losses, 1 / losses.shape[1], requires_grad=False)
        sum(self._penalties(), torch.dot(losses.flatten(), self.share.flatten())).backward()
        self.batch_losses = losses.detach().mean(1)
        self.last = (out.detach(), batch.y)

    def step(self) -> None:
        """One update of all, with what acts around it."""
        acting = [engine for engine in self.engines if engine.arounds]
        if acting:
            self.stack.give_gradients()
        with torch.no_grad():
            for engine in acting:
                for part in engine.arounds:
                    part.before_update(engine.weights)
            self.update.step()
            for engine in acting:
                for part in engine.arounds:
                    part.after_update(engine.weights)
            for run in self.runs:
                if isinstance(ema := run.state.parts.get("ema"), Ema):
                    ema.update(run.state.step + 1)
        self.losses.append(self.batch_losses)

    def bad(self) -> dict[int, str]:
        """By replica the loss or the gradient of the last batch that is not finite; waits for the device."""
        grads = {name: p.grad for name, p in self.stack.trained.items() if p.grad is not None}
        total = torch.stack([self.batch_losses.sum(), *(g.sum() for g in grads.values())]).sum()
        if math.isfinite(total.item()):
            return {}
        sums = {"the loss": self.batch_losses}
        sums |= {f"the gradient of {name}": g.flatten(1).sum(1) for name, g in grads.items()}
        found: dict[int, str] = {}
        for what, of_each in sums.items():
            for k in (~of_each.isfinite()).nonzero().flatten().tolist():
                found.setdefault(k, what)
        return found

    def void(self) -> None:
        """Takes back what the last batch did to running statistics."""
        for good, buffer in zip(self.good_buffers, self.stack.buffers.values(), strict=True):
            buffer.copy_(good)

    def keep_losses(self, k: int) -> None:
        """Gives run k its losses since its last log, for what saves it."""
        self.runs[k].state.losses = [loss[k] for loss in self.losses[self.logged[k] :]]

    def forget_losses(self, logged: Sequence[int]) -> None:
        """These runs have logged; the others still want their losses."""
        for k in logged:
            self.logged[k] = len(self.losses)
        if len(logged) == len(self.runs):
            self.losses.clear()
            self.logged = [0] * len(self.runs)

    def read_log(self) -> list[Figures]:
        """What `Engine.read_log` says, for each run; waits for the device once. Forgets no loss."""
        rows = {"train/loss": torch.stack(self.losses).mean(0)}
        out, y = self.last
        for name, metric in self.first.metrics.items():
            means = metric.per_example(out.flatten(0, 1), y.flatten(0, 1)).unflatten(0, out.shape[:2]).mean(1)
            rows[f"train/{name}"] = torch.stack([metric.finish(mean) for mean in means])
        grads = [p.grad.flatten(1).norm(dim=1) for p in self.stack.trained.values() if p.grad is not None]
        norms = torch.stack(grads).norm(dim=0)
        own = [run.state.grad_norm for run in self.runs]
        rows["train/grad_norm"] = torch.stack([n if o is None else o for n, o in zip(norms, own, strict=True)])
        if self.first.makes_zeros:
            rows["train/zero_weights"] = torch.stack([zero_weights(engine.weights) for engine in self.engines])
        return _by_run(rows)

    def evaluate(self, split: str) -> list[Figures]:
        """The figures of a split with the weights that are evaluated while a run trains."""
        if any("ema" in run.state.parts for run in self.runs):
            models = [run.state.eval_model for run in self.runs]
            tensors: Tensors = stacked_states([dict(m.named_parameters()) | dict(m.named_buffers()) for m in models])
        else:
            tensors = self.stack.tensors
        return self.evaluate_with(tensors, split)

    @torch.no_grad()
    def evaluate_with(self, tensors: Tensors, split: str) -> list[Figures]:
        """`trainer.evaluate` for each set of weights (K, …), all on the same examples."""
        self.forward.training = False
        wide = torch.float32 if self.first.device.type == "mps" else torch.float64
        sums: dict[str, Tensor] = {}
        count, replicas = 0, len(next(iter(tensors.values())))
        for batch in _cut(self.runs[0].data.eval(split), replicas):
            out = self._outputs(tensors, batch.x, shared=True)
            y = batch.y.expand(replicas, *batch.y.shape)
            found = {"loss": self._per_example(out, y).sum(1, dtype=wide)}
            for name, metric in self.first.metrics.items():
                each = metric.per_example(out.flatten(0, 1), y.flatten(0, 1)).unflatten(0, out.shape[:2])
                found[name] = each.sum(1, dtype=wide)
            sums = {name: sums[name] + value if name in sums else value for name, value in found.items()}
            count += len(batch.y)
        if not count:
            return [{} for _ in range(replicas)]
        finish = {name: metric.finish for name, metric in self.first.metrics.items()}
        rows = {
            f"{split}/{name}": torch.stack([finish[name](one / count) for one in total])
            if name in finish
            else total / count
            for name, total in sums.items()
        }
        return _by_run(rows)

    def _outputs(self, tensors: Tensors, x: Tensor, shared: bool = False) -> Tensor:
        if self.first.dtype is torch.float32:
            return self.forward(tensors, x, shared)
        with torch.autocast(self.first.device.type, self.first.dtype):
            return self.forward(tensors, x, shared).float()

    def _per_example(self, out: Tensor, y: Tensor) -> Tensor:
        """Losses (K, B)."""
        if self.same_loss or len(out) != len(self.engines):
            return self.first.loss(out.flatten(0, 1), y.flatten(0, 1)).unflatten(0, out.shape[:2])
        return torch.stack(
            [engine.loss(*one) for engine, one in zip(self.engines, zip(out, y, strict=True), strict=True)]
        )

    def _penalties(self) -> list[Tensor]:
        """Sums over the runs of each penalty."""
        weights = {name: self.stack.params[name] for name in self.first.weights}
        found = []
        for same in zip(*(engine.penalties for engine in self.engines), strict=True):
            if all(isinstance(one, partial) and one.func is same[0].func and not one.keywords for one in same):
                numbers = [
                    torch.tensor(each, device=self.first.device) for each in zip(*(p.args for p in same), strict=True)
                ]
                found.append(vmap(same[0].func)(*numbers, weights).sum())
            else:
                each = [one({name: w[k] for name, w in weights.items()}) for k, one in enumerate(same)]
                found.append(torch.stack(each).sum())
        return found


def _check(runs: Sequence[Experiment]) -> None:
    """Raises Refused where the runs have something that steps together have not."""
    first = runs[0]
    if any(type(run.engine) is not Engine for run in runs):
        raise Refused("their engine is not the usual one")
    if any(not isinstance(run.data, ResidentData) for run in runs):
        raise Refused("their data is streamed from files")
    if first.data.lengths("train") is not None:
        raise Refused("their sequences have different lengths")
    if len({len(run.state.losses) for run in runs}) > 1:
        raise Refused("their logs are at different steps")
    if any(len(run.engine.penalties) != len(first.engine.penalties) for run in runs):
        raise Refused("their regularisers are of different kinds")
    if len({tuple(map(type, run.engine.arounds)) for run in runs}) > 1:
        raise Refused("their regularisers are of different kinds")


def _cut(batches: Iterable[Batch], replicas: int) -> Iterator[Batch]:
    """Evaluation batches so much smaller as there are replicas, since the outputs of all are in memory at a time."""
    for batch in batches:
        size = max(32, len(batch.y) // replicas)
        yield from map(Batch, batch.x.split(size), batch.y.split(size))


def _by_run(rows: dict[str, Tensor]) -> list[Figures]:
    """Figures by name, each (K,), as those of each run; one copy from the device."""
    columns = torch.stack([row.double() for row in rows.values()]).T.tolist()
    return [dict(zip(rows, column, strict=True)) for column in columns]
