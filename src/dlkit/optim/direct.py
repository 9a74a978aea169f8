"""torch's optimisers without the Python around them.

`torch.optim` spends 35 µs a step on hooks, profiling and grouping (logistic regression on MNIST: 43 µs with them, 8
without), and imports the compiler to be exempted from it (half of the start-up of a run). These classes are torch's own
but for `step`, which calls the same kernels on the same state: their weights are torch's bit for bit. The kernels and
`_init_group` are private, so `tests/test_direct.py` compares them, and where they are missing torch's own step is used.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.rmsprop import rmsprop

KERNELS = ("_fused_adam_", "_fused_adamw_", "_fused_sgd_", "_fused_adagrad_")
ADAM_OPTIONS = ("lr", "weight_decay", "eps", "amsgrad", "maximize")
SGD_OPTIONS = ("lr", "weight_decay", "momentum", "dampening", "nesterov", "maximize")
ADAGRAD_OPTIONS = ("lr", "lr_decay", "weight_decay", "eps", "maximize")
RMSPROP_OPTIONS = (
    *("lr", "alpha", "weight_decay", "eps", "momentum", "centered"),
    *("foreach", "maximize", "differentiable", "capturable"),
)
AVAILABLE = all(hasattr(torch, name) for name in KERNELS) and hasattr(torch.optim.Adam, "_init_group")


class Direct(torch.optim.Optimizer, ABC):
    """`step` as one call a parameter group. Parameters of several devices or types are left to torch's own.

    A GradScaler, or a guard, sets `grad_scale` and `found_inf` as of torch's: scalars on the device, the divisor of the
    gradients, and whether this step is void (1) or not (0).
    """

    def __init__(self, params: Any, **options: Any) -> None:
        super().__init__(params, **options)
        self._look()

    def _look(self) -> None:
        kinds = {(p.device, p.dtype) for group in self.param_groups for p in group["params"]}
        self.direct = AVAILABLE and len(kinds) == 1

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._look()  # torch's copies hold groups and state only

    @abstractmethod
    def update(self, group: dict[str, Any], amp: dict[str, Tensor | None]) -> None:
        """Updates the parameters of the group that have gradients."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all groups; the closure's value."""
        if not self.direct or self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks:
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        amp: dict[str, Tensor | None] = {name: getattr(self, name, None) for name in ("grad_scale", "found_inf")}
        with torch.no_grad():
            for group in self.param_groups:
                self.update(group, amp)
        return loss

    step.hooked = True  # type: ignore[attr-defined]  # torch would wrap it in hooks and profiling


class Adam(Direct, torch.optim.Adam):
    def update(self, group: dict[str, Any], amp: dict[str, Tensor | None]) -> None:
        params, grads, means, squares, largest, steps = ([] for _ in range(6))  # type: ignore[var-annotated]
        self._init_group(group, params, grads, means, squares, largest, steps)
        if not params:
            return
        beta1, beta2 = group["betas"]
        kernel: Any = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
        options = {name: group[name] for name in ADAM_OPTIONS}
        _count(steps, amp)
        kernel(params, grads, means, squares, largest, steps, beta1=beta1, beta2=beta2, **options, **amp)


class AdamW(Adam, torch.optim.AdamW):
    pass


class SGD(Direct, torch.optim.SGD):
    def update(self, group: dict[str, Any], amp: dict[str, Tensor | None]) -> None:
        params, grads, velocities = ([] for _ in range(3))  # type: ignore[var-annotated]
        self._init_group(group, params, grads, velocities)
        if not params:
            return
        first = False
        if group["momentum"] == 0:
            velocities = []
        elif first := all(velocity is None for velocity in velocities):
            velocities = [torch.zeros_like(grad) for grad in grads]
        options = {name: group[name] for name in SGD_OPTIONS}
        torch._fused_sgd_(params, grads, velocities, is_first_step=first, **options, **amp)  # type: ignore[call-overload]
        if first:
            for p, velocity in zip(params, velocities, strict=True):
                self.state[p]["momentum_buffer"] = velocity


class Adagrad(Direct, torch.optim.Adagrad):
    def update(self, group: dict[str, Any], amp: dict[str, Tensor | None]) -> None:
        params, grads, sums, steps = ([] for _ in range(4))  # type: ignore[var-annotated]
        self._init_group(group, params, grads, sums, steps)
        if not params:
            return
        options = {name: group[name] for name in ADAGRAD_OPTIONS}
        _count(steps, amp)
        torch._fused_adagrad_(params, grads, sums, steps, **options, **amp)  # type: ignore[call-overload]


class RMSprop(Direct, torch.optim.RMSprop):
    """torch has no kernel for it; what is saved is the import of the compiler."""

    def update(self, group: dict[str, Any], amp: dict[str, Tensor | None]) -> None:
        params, grads, squares, means, velocities, steps = ([] for _ in range(6))  # type: ignore[var-annotated]
        self._init_group(group, params, grads, squares, means, velocities, steps)
        options = {name: group[name] for name in RMSPROP_OPTIONS}
        rmsprop(params, grads, squares, means, velocities, steps, **options)


def _count(steps: list[Tensor], amp: dict[str, Tensor | None]) -> None:
    """One step more, of those that are not void."""
    torch._foreach_add_(steps, 1)
    if (void := amp["found_inf"]) is not None:
        torch._foreach_sub_(steps, [void] * len(steps))


def _leave_compiler_out() -> None:
    """Says, where `torch._disable_dynamo` looks first, that these methods need no exemption: nothing compiles them."""
    for name in ("add_param_group", "state_dict", "load_state_dict", "zero_grad"):
        method = getattr(getattr(torch.optim.Optimizer, name), "__wrapped__", None)
        if method is not None:
            method.__dynamo_disable = method


if "torch._dynamo" not in sys.modules:
    _leave_compiler_out()
