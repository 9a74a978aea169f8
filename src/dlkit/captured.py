"""Training steps as CUDA graphs: recorded once, then played again with one launch instead of hundreds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from dlkit.engine import Engine
from dlkit.log import log
from dlkit.optim.muon import Muon
from dlkit.optim.together import Together
from dlkit.types import Batch

WARM_UP = 3  # steps made as usual first: they allocate moments and let cuDNN choose its kernels
Play = Callable[[], None]


class CapturedEngine(Engine):
    """An engine whose `backward` and `update` are each one CUDA graph; callbacks act between them as ever.

    A graph plays the same kernels on the same memory. So each batch is copied into buffers, the rates and the step's
    number are tensors on the device that are filled before each play, and gradients stay where the recording put them.
    A batch of another shape is trained step by step. After torch's notes on CUDA graphs, "whole-network capture".

    `record` makes of a function of no arguments one that plays it; by default it captures a graph. Raises ValueError
    for what no graph can hold.
    """

    def __init__(self, *args: Any, record: Callable[[Play], Play] | None = None, **options: Any):
        super().__init__(*args, **options)
        if record is None and self.device.type != "cuda":
            raise ValueError(f"trainer.capture=true: CUDA graphs need an NVIDIA GPU, trainer.device is {self.device}")
        self._refuse()
        self.stream = torch.cuda.Stream(self.device) if record is None else None
        self.record = record or self._graph
        self.pool: Any = None  # the graphs' memory, which they share
        groups = self.state.optim.param_groups
        for group in groups:
            if "capturable" in group:
                group["capturable"] = True
        self.rates = [torch.zeros((), device=self.device) for _ in groups]
        self.step = torch.zeros((), dtype=torch.int64, device=self.device)
        self.warm = 0  # steps made
        self.inputs: Batch | None = None  # the graphs' own, of the first batch's shape
        self.results: Any = None  # of the backward graph: gradients, loss, and outputs with targets
        self.kept: Any = None
        self.plays: dict[str, Play] = {}
        self.playing = False  # whether the step at hand is played
        self.told = False  # of batches that are not

    def _refuse(self) -> None:
        """Raises ValueError for a run whose steps cannot be played again."""
        kind, optim = self.state.spec.kind, self.state.optim
        if self.scaler:
            raise ValueError("trainer.capture=true: float16 decides on the CPU which steps to skip; take bfloat16")
        if kind in ("tokens", "waveform"):
            raise ValueError(f"trainer.capture=true: {kind} are not captured: batches differ in length")
        for part in optim.parts if isinstance(optim, Together) else [optim]:
            fused = isinstance(part, torch.optim.SGD) and part.defaults["fused"]
            if not (fused or isinstance(part, Muon) or "capturable" in part.defaults):
                name = type(part).__name__
                raise ValueError(f"trainer.capture=true: {name} reads its rate on the CPU; take adam, sgd or muon")

    def backward(self, batch: Batch) -> None:
        """As an engine's; the first steps on a stream of their own, from then on one graph."""
        self.playing = self._fits(batch) and self.warm >= WARM_UP
        if not self.playing:
            with self._aside():
                super().backward(batch)
            return
        assert self.inputs is not None
        for own, given in zip(self.inputs, batch, strict=True):
            own.copy_(given)
        self._play("backward", self._backward_of_inputs)

    def update(self) -> None:
        """As an engine's."""
        if not self.playing:
            with self._aside():
                super().update()
            self.warm += 1
            return
        for rate, group in zip(self.rates, self.state.optim.param_groups, strict=True):
            rate.fill_(group["lr"])
        self.step.fill_(self.state.step)
        self._play("update", self._update_at_rates)
        self.state.losses.append(self.batch_loss.clone())  # the next play writes over it

    def _fits(self, batch: Batch) -> bool:
        """Whether the batch is shaped like the first one, for which buffers are kept."""
        if self.inputs is None:
            self.inputs = Batch(*(torch.empty_like(one) for one in batch))
        fits = all(a.shape == b.shape and a.dtype == b.dtype for a, b in zip(batch, self.inputs, strict=True))
        if not fits and not self.told:
            self.told = True
            shape = tuple(self.inputs.x.shape)
            log.warning("trainer.capture: only batches of shape %s are played; the others take longer", shape)
        return fits

    def _play(self, name: str, function: Play) -> None:
        """Plays what was recorded under this name; records it the first time."""
        if name not in self.plays:
            self.plays = {**self.plays, name: self.record(function)}  # a new one: what keeps the old can put it back
            if name == "backward":
                self.results = ([p.grad for p in self.params], self.batch_loss, self.last)
                self.kept = self.share  # a batch of another size puts another in its place, the graph reads this one
        if name == "backward":  # a step that was not played has put others in their place
            gradients, self.batch_loss, self.last = self.results
            for p, gradient in zip(self.params, gradients, strict=True):
                p.grad = gradient
        self.plays[name]()

    def _backward_of_inputs(self) -> None:
        assert self.inputs is not None
        super().backward(self.inputs)

    @torch.no_grad()
    def _update_at_rates(self) -> None:
        groups = self.state.optim.param_groups
        given = [group["lr"] for group in groups]
        for group, rate in zip(groups, self.rates, strict=True):
            group["lr"] = rate
        try:
            self._update(self.step)
        finally:
            for group, lr in zip(groups, given, strict=True):
                group["lr"] = lr

    def _graph(self, function: Play) -> Play:
        """Captures what the function does on the device; it is not done yet."""
        graph = torch.cuda.CUDAGraph()
        # thread_local: the thread that pins a loader's memory may go on
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
            function()
        self.pool = graph.pool()
        return graph.replay

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """On the stream on which graphs are recorded: autograd remembers where gradients are accumulated."""
        if self.stream is None:
            yield
            return
        usual = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(usual)
        with torch.cuda.stream(self.stream):
            yield
        usual.wait_stream(self.stream)
