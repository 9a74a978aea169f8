"""How large the outputs of the layers are before training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlkit.callbacks.base import Callback
from dlkit.log import log
from dlkit.state import State


class OutputStd(Callback):
    """Reports the standard deviation of every layer's output on the first batch, before any update, if `enabled`.

    Over the batch and all units together. It goes to the log at once, and into the figures of the first log as
    `init_std/<layer>`, so listed before those that record them, for metrics.jsonl and TensorBoard.
    """

    writes = True

    def __init__(self, *, enabled: bool = False):
        self.enabled = enabled
        self.hooks: list[Any] = []
        self.measured: dict[str, Tensor] = {}
        self.figures: dict[str, float] = {}  # still to be recorded

    def listens(self, event: str) -> bool:
        return self.enabled or bool(self.figures)

    def on_start(self, state: State) -> None:
        if not self.enabled or state.step > 0:
            return
        for name, module in state.model.named_modules():
            if not any(module.children()):
                self.hooks.append(
                    module.register_forward_hook(self._hook(f"{name}.{type(module).__name__}".lstrip(".")))
                )

    def _hook(self, name: str) -> Any:
        def measure(module: nn.Module, inputs: Any, output: Any) -> None:
            tensor = output if isinstance(output, Tensor) else output[0]  # of a recurrent layer, its outputs
            if name not in self.measured:
                self.measured[name] = tensor.detach().float().std(correction=0)

        return measure

    def on_grad(self, state: State) -> None:
        if not self.hooks:
            return
        for hook in self.hooks:
            hook.remove()
        self.hooks = []
        values = torch.stack(list(self.measured.values())).tolist()  # sync point: once a run
        log.info("standard deviation of the layers' outputs at step 0")
        for name, value in zip(self.measured, values, strict=True):
            log.info("  %-24s %.4g", name, value)
            self.figures[f"init_std/{name}"] = value

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        figures |= self.figures
        self.figures = {}

    def state_dict(self) -> dict[str, Any]:
        return {"figures": self.figures}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.figures = state["figures"]
