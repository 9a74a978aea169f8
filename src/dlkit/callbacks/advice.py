"""Warns of what goes wrong in training, and says what to try."""

from __future__ import annotations

from time import perf_counter, thread_time
from typing import Any

import torch

from dlkit import probe
from dlkit.callbacks import symptoms
from dlkit.callbacks.base import Callback
from dlkit.callbacks.panels.panel import Allowance
from dlkit.data.resident import ResidentData
from dlkit.log import log
from dlkit.state import State
from dlkit.types import Batch

SHARE = 0.005  # of the training time for looks into the model, beside the first
FIRST_LOOK = 0.05  # seconds, about; a model that needs more is looked at later
FEWEST = 64  # examples by which units are judged
WINDOW = 256  # examples over which a training loss is averaged before it is judged
FAR_ABOVE, ABOVE, IN_A_ROW = 3.0, 1.2, 3  # loss / the one at the start, of one window and of so many in a row
VALIDATION = 100  # examples: the loss of fewer goes up and down by chance
EVALUATIONS = 3  # since the best one
LEARNT = 0.5  # below this part of its first loss a run learns, whatever its layers look like


class Advice(Callback):
    """One line of each kind at most, as a warning in the log: what is seen, why that may be, and an option to try.

    Before the first step: unscaled inputs, units that begin alike, a first loss far from guessing, saturated and dead
    units. In training: gradients that vanish or explode by layer, and these units again, as often as the time allows;
    a loss that rises or stays above its start; a validation loss that rises while the training loss falls. The jobs of
    a sweep look at what is logged anyway, and into the model within 0.5 % of their time. Of runs trained as one model
    gradients are not seen.
    """

    writes = True

    def __init__(self) -> None:
        self.told: set[str] = set()
        self.allowance = Allowance(SHARE, 0.005)
        self.guess = 0.0  # loss of outputs 0; 0: it says nothing
        self.start = 0.0  # loss before training; 0: not known
        self.window = (0, 0.0)  # examples since the last one was full, and the sum of their losses
        self.above = 0  # windows in a row
        self.step = 0  # of the last log
        self.train = 0.0  # the last window's loss
        self.best: list[float] = []  # the evaluation of the least loss: that, train/loss, step
        self.since = 0  # evaluations after it
        self.logs = 0

    def on_start(self, state: State) -> None:
        if state.measure is None or state.data is None or state.step > 0:
            return
        self.guess = _guess(state)
        self._tell(state, "units", symptoms.equal_units(state.model, state.config))
        if not state.is_job and isinstance(state.data, ResidentData):
            self._look_first(state)

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        self._follow(state, figures["train/loss"])
        self.logs += 1
        if (self.logs == 1 and not state.is_job) or self.allowance.grants(state):
            begin = perf_counter()
            if self._struggles and not self.told & {"units", "dead"}:
                self._tell(state, "gradients", symptoms.uneven_gradients(state))
            self.allowance.took(perf_counter() - begin)

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        if state.measure is not None and state.data is not None and self.allowance.grants(state):
            begin = perf_counter()
            seen = probe.look(state)
            self._judge(state, seen.layers, seen.examples)
            self.allowance.took(perf_counter() - begin)
        if "val/loss" in figures:
            self._compare(state, figures["val/loss"])

    @property
    def _struggles(self) -> bool:
        """Whether the loss is not far below its start: what learns needs no advice."""
        return not self.train or self.train > LEARNT * max(self.guess, self.start)

    def _look_first(self, state: State) -> None:
        """At as many examples as are soon seen."""
        batch = state.probed = probe.examples(state)
        self._tell(state, "inputs", symptoms.inputs(state, batch.x))
        probe.activity(state, state.example)  # the first pass of all takes longer
        every = -(-len(batch.y) // 8)
        while True:
            begin = thread_time()  # whatever else the machine does
            some = Batch(*(part[::every] for part in batch))
            found, out = probe.activity(state, some.x)
            if every == 1 or 4 * (thread_time() - begin) > FIRST_LOOK:
                break
            every = -(-every // 4)
        self._judge(state, found, len(some.y))
        if state.config.get("init_from") is None and self.guess > 0:
            assert state.measure is not None
            self.start = state.measure.loss(out, some.y).mean().item()
            if "inputs" not in self.told:
                self._tell(state, "first loss", symptoms.first_loss(self.start, self.guess, state.config))

    def _judge(self, state: State, found: dict[str, probe.Activity], examples: int) -> None:
        """What the units give for so many examples."""
        if examples < FEWEST:
            return
        if self._struggles:
            self._tell(state, "saturated", symptoms.saturation(found, state.config))
        if "units" not in self.told:
            self._tell(state, "dead", symptoms.dead_units(found, examples, state.config))

    def _follow(self, state: State, loss: float) -> None:
        """The training loss, window by window."""
        examples, total = self.window
        new = (state.step - self.step) * state.batch_size
        self.step = state.step
        self.window = examples + new, total + new * loss
        if self.window[0] < WINDOW:
            return
        self.train, self.window = self.window[1] / self.window[0], (0, 0.0)
        base = max(self.guess, self.start)
        self.above = self.above + 1 if self.train > ABOVE * base else 0
        if self.guess > 0 and (self.train > FAR_ABOVE * base or self.above >= IN_A_ROW):
            line = symptoms.divergence(self.train, base, self.start > 0, state.lr, state.config)
            self._tell(state, "rate", line)
        if not self.start:  # of a run that was not looked into
            self.start = max(self.guess, self.train)

    def _compare(self, state: State, loss: float) -> None:
        """The validation loss with the best one."""
        if not self.best or loss < self.best[0]:
            self.best, self.since = [loss, self.train, state.step], 0
            return
        self.since += 1
        assert state.data is not None
        if self.since >= EVALUATIONS and not self._struggles and state.data.split_sizes["val"] >= VALIDATION:
            least, then, step = self.best
            now = (loss, self.train)
            line = symptoms.overfitting(now, (least, then), int(step), self.guess, state.config)
            self._tell(state, "overfitting", line)

    def _tell(self, state: State, kind: str, line: str | None) -> None:
        if line and kind not in self.told:
            self.told.add(kind)
            log.warning("step %d: %s", state.step, line)

    def state_dict(self) -> dict[str, Any]:
        names = ("guess", "start", "above", "step", "train", "best", "since", "logs")
        return {"told": sorted(self.told), "window": list(self.window)} | {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.told, self.window = set(state["told"]), (state["window"][0], state["window"][1])


@torch.no_grad()
def _guess(state: State) -> float:
    """The loss of a model whose outputs are all 0, over training targets from all over the split; ln K of K classes."""
    assert state.measure is not None and state.data is not None
    y, loss = state.data.targets("train"), state.measure.loss
    y = y[:: max(1, len(y) // 1000)]
    return loss(torch.zeros(len(y), loss.outputs, device=y.device), y).mean().item()
