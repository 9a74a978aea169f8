"""Several processes that train one model (torch's DistributedDataParallel, DDP): their step, and their agreement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dlkit import dist
from dlkit.engine import Engine
from dlkit.rng import TRAIN, global_state, seed_all, set_global_state
from dlkit.state import State
from dlkit.trainer import Course
from dlkit.types import Batch

PACE = 0.1  # seconds between two agreements: soon enough for a Ctrl-C, seldom enough to cost nothing


class ParallelEngine(Engine):
    """Each process computes the gradient over its part of the batch, and DDP gives all of them the mean.

    Of a batch of B examples each sums its losses and divides by `B / world`, so that the mean over the processes is the
    gradient of the mean over the batch, however it is cut. The batch's loss travels with the gradients, so that all
    processes see the same, and the guard finds the same fault. Norms see the examples of their process.
    """

    def join(self) -> None:
        """Meets the other processes, once all have built their models: weights and buffers are now the first's.

        Each then draws random numbers of its own, or dropout would drop the same units everywhere.
        """
        state, device = self.state, self.device
        cuda = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(cuda):
            unused = has_unused(state)
        if unused and self.penalties:  # DDP would meet their gradient twice
            raise ValueError(
                "regularizer: the model has weights that get no gradient, and a penalty on these cannot be trained by "
                "several processes; take regularizer=none, or a single process"
            )
        self.tally = Tally(state.model, unused).to(device)
        self.model = self.ddp = DistributedDataParallel(
            self.tally,
            device_ids=cuda or None,
            find_unused_parameters=unused,  # costs a second round of messages a step
            gradient_as_bucket_view=True,
        )
        dist.spread(list(state.eval_model.state_dict().values()))  # an average of the weights, too
        randomness = state.parts["randomness"]
        assert isinstance(randomness, Randomness)
        randomness.begin(state)

    def backward(self, batch: Batch) -> None:
        """Gradients of the mean loss over the whole batch plus the penalties; `batch` is this process's part."""
        self.tally.loss.grad = None
        super().backward(batch)
        assert self.tally.loss.grad is not None
        loss = self.tally.loss.grad.clone()  # what DDP gives is used again in the next step
        self.batch_loss = loss / self.scaler.scale(torch.ones_like(loss)) if self.scaler else loss

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        """Only the gradients of the last part are sent, with those of the parts before."""
        for number, part in enumerate(super()._parts(batch), start=1):
            with nullcontext() if number == self.accumulate else self.ddp.no_sync():
                yield part

    def _backward(self, losses: Tensor, penalties: list[Tensor], size: float) -> Tensor:
        size = self.state.batch_size / dist.world()
        return super()._backward(losses, [*penalties, self.tally.loss * (losses.detach().sum() / size)], size)

    def _mean(self, statistics: Tensor) -> Tensor:
        count = statistics.new_full((), len(statistics))
        sums, count = dist.total([statistics.sum(0), count])
        return sums / count


class Tally(nn.Module):
    """The model with one parameter more, 0, whose gradient is the loss: DDP so adds it up as it adds up gradients."""

    def __init__(self, model: nn.Module, unused: bool):
        super().__init__()
        self.model, self.unused = model, unused
        self.loss = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """The model's outputs."""
        out: Tensor = self.model(x)
        return out + 0 * self.loss if self.unused else out  # DDP looks from the outputs for what is unused


def has_unused(state: State) -> bool:
    """Whether some parameter that is to be trained gets no gradient: DDP would wait for it."""
    state.train_mode()  # cuDNN differentiates recurrent layers in no other
    before = [buffer.clone() for buffer in state.model.buffers()]
    out = state.model.forward(state.example)  # not compiled
    params = [p for p in state.model.parameters() if p.requires_grad]
    unused = any(grad is None for grad in torch.autograd.grad(out.sum(), params, allow_unused=True))
    with torch.no_grad():
        for buffer, old in zip(state.model.buffers(), before, strict=True):
            buffer.copy_(old)
    return unused


class Randomness:
    """The states of the random numbers of all processes, gathered for a checkpoint."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []

    def begin(self, state: State) -> None:
        """Goes on with this process's own numbers, where as many processes were there before; else seeds them anew.

        The first process has those that a single one would have.
        """
        if dist.rank() == 0:
            return
        if len(self.states) == dist.world():
            set_global_state(self.states[dist.rank()])
        else:
            seed_all(TRAIN, state.config["seed"], dist.rank(), state.step)

    def gather(self) -> None:
        """All processes do this together."""
        self.states = dist.gather(global_state())

    def state_dict(self) -> dict[str, Any]:
        return {"states": self.states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.states = state["states"]


class ParallelCourse(Course):
    """What one process is asked to do, by a signal, a callback or a clock, all do after the same step.

    They agree after logs and evaluations, and otherwise about every `PACE` seconds.
    """

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.asked = ""  # why a callback of this process wants to stop
        self.save_agreed = False
        self.last = (self.state.step, perf_counter())  # of the last agreement
        self.next, self.interval = self.state.step + 1, 1

    def emit(self, event: str, *arguments: Any) -> None:
        if event == "on_checkpoint":
            randomness = self.state.parts["randomness"]
            assert isinstance(randomness, Randomness)
            randomness.gather()
        agreed = self.state.stop
        super().emit(event, *arguments)
        if not agreed:
            self.asked, self.state.stop = self.asked or self.state.stop, ""
        if event in ("on_log", "on_eval") or (event == "on_step" and self.state.step >= self.next):
            self.agree()

    def agree(self) -> None:
        """All processes call this at the same place; of several times at one step, the first counts for the pace."""
        state, first = self.state, dist.rank() == 0
        wants_saving = first and self.clock.since_save() >= self.save_every
        interval = self._next_interval() if first else 0
        asked, saving, signal, self.interval = dist.most(bool(self.asked), wants_saving, state.asked, interval)
        self.save_agreed |= bool(saving)
        self.next = state.step + self.interval
        if asked and not state.stop:
            state.stop = next(reason for reason in dist.gather(self.asked) if reason)
        state.end_by(signal)

    def _next_interval(self) -> int:
        """Steps until the next agreement; at most twice as many as before, since first steps are slow."""
        if self.state.step == self.last[0]:
            return self.interval
        (step, then), self.last = self.last, (self.state.step, perf_counter())
        fitting = (self.state.step - step) * PACE / max(self.last[1] - then, 1e-9)
        return max(1, min(2 * self.interval, int(fitting)))

    @property
    def saving_is_due(self) -> bool:
        return self.state.done or self.save_agreed

    def save(self) -> None:
        super().save()
        self.save_agreed = False
