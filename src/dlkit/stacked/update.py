"""One optimiser for stacked weights, with a rate and a weight decay for each replica."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from dlkit.optim.direct import Direct
from dlkit.stacked.forward import Refused
from dlkit.stacked.stack import Stack

# Their update is the rate times something in which neither the rate nor, decay aside, the weight appears.
LINEAR = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad)
OWN = ("lr", "initial_lr", "lr_scale", "weight_decay", "params", "param_names")  # of a group, which may differ


class Update:
    """`w_k ← w_k + η_k d_k`: torch's own optimiser gives d_k for all K at once, as its step from 0 at rate 1.

    So a rate for each replica needs no kernel of its own; where all rates agree, it steps on the weights themselves.
    Weight decay is added here: `g_k + λ_k w_k`, or decoupled, `w_k (1 − η_k λ_k)`. Each run's own optimiser holds the
    groups, and views of the moments. Raises Refused for optimisers whose update is of another kind, and for options
    that differ beside rate and decay.
    """

    def __init__(self, stack: Stack):
        self.stack = stack
        optims = [state.optim for state in stack.states]
        if not _is_linear(type(optims[0])):
            raise Refused(f"{type(optims[0]).__name__} cannot be stacked; SGD, Adam, AdamW, RMSprop and AdaGrad can")
        options = {str(_options(group)) for optim in optims for group in optim.param_groups}
        if len(options) > 1 or len({type(optim) for optim in optims}) > 1:
            raise Refused("their optimisers differ in more than rate and decay")
        own = _options(optims[0].param_groups[0])
        self.params = stack.trained
        self.optim = _made(type(optims[0]), list(self.params.values()), own)
        self.decoupled = bool(own.get("decoupled_weight_decay"))
        self.kinds = self._kinds()
        self.columns: dict[tuple[float, ...], Tensor] = {}
        self.shifts: dict[str, Tensor] = {}  # d, where rates differ
        self.bare: dict[Tensor, Tensor] = {}  # the gradients without decay, which are those that are logged
        self.linked = 0
        self._take_up()

    def _kinds(self) -> list[tuple[list[str], list[dict[str, Any]], list[float]]]:
        """Parameters by the groups that they are in: their names, each run's group, and its decay."""
        places: dict[tuple[int, ...], list[str]] = {}
        of_run = [
            {id(p): i for i, group in enumerate(state.optim.param_groups) for p in group["params"]}
            for state in self.stack.states
        ]
        named = [dict(model.named_parameters()) for model in self.stack.models]
        for name in self.params:
            places.setdefault(tuple(of[id(by[name])] for of, by in zip(of_run, named, strict=True)), []).append(name)
        found = []
        for numbers, names in places.items():
            groups = [state.optim.param_groups[i] for state, i in zip(self.stack.states, numbers, strict=True)]
            found.append((names, groups, [float(group["weight_decay"]) for group in groups]))
        return found

    @torch.no_grad()
    def step(self) -> None:
        """Makes an update from the stacked gradients and the rates that each run's groups hold now."""
        rates = [[group["lr"] for group in groups] for _, groups, _ in self.kinds]
        agree = len({rate for of_kind in rates for rate in of_kind}) == 1
        for (names, _, decays), of_kind in zip(self.kinds, rates, strict=True):
            if any(decays):
                self._decay(names, decays, of_kind)
        if agree:
            self.optim.param_groups[0]["lr"] = rates[0][0]
            self.optim.step()
        else:
            self._apart(rates)
        for p, gradient in self.bare.items():
            p.grad = gradient
        self.bare.clear()
        if len(self.optim.state) != self.linked:
            self._link()

    def _decay(self, names: list[str], decays: list[float], rates: list[float]) -> None:
        for name in names:
            p = self.params[name]
            if p.grad is None:
                continue
            if self.decoupled:
                p.data.mul_(self._column([1 - r * d for r, d in zip(rates, decays, strict=True)], p))
            else:
                self.bare[p] = p.grad
                p.grad = torch.addcmul(p.grad, p.data, self._column(decays, p))

    def _apart(self, rates: list[list[float]]) -> None:
        """A step in which rates differ."""
        weights = {name: p.data for name, p in self.params.items()}
        for name, p in self.params.items():
            if name not in self.shifts:
                self.shifts[name] = torch.empty_like(p)
            p.data = self.shifts[name].zero_()
        self.optim.param_groups[0]["lr"] = 1.0
        self.optim.step()
        for name, p in self.params.items():
            p.data = weights[name]
        for (names, _, _), of_kind in zip(self.kinds, rates, strict=True):
            for name in names:
                weights[name].addcmul_(self.shifts[name], self._column(of_kind, weights[name]))

    def _column(self, values: list[float], like: Tensor) -> Tensor:
        """Numbers of the replicas, shaped to multiply `like` (K, …)."""
        key = tuple(values)
        if key not in self.columns:
            if len(self.columns) > 64:  # schedules make new rates at every step
                self.columns.clear()
            self.columns[key] = torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True)
        return self.columns[key].view(-1, *[1] * (like.dim() - 1))

    def _link(self) -> None:
        """Makes the moments of each run's own optimiser views of the stacked ones; counts of steps are shared."""
        for k, state in enumerate(self.stack.states):
            named = dict(state.model.named_parameters())
            for name, p in self.params.items():
                if p in self.optim.state:
                    state.optim.state[named[name]] = {
                        key: value[k] if _is_moment(key, value) else value for key, value in self.optim.state[p].items()
                    }
        self.linked = len(self.optim.state)

    def _take_up(self) -> None:
        """Begins with the moments that the runs have."""
        named = [dict(model.named_parameters()) for model in self.stack.models]
        for name, p in self.params.items():
            each = [state.optim.state.get(one[name]) for state, one in zip(self.stack.states, named, strict=True)]
            there = [one for one in each if one]
            if 0 < len(there) < len(each):
                raise Refused("not all of them have moments yet")
            if there:
                self.optim.state[p] = {
                    key: torch.stack([one[key] for one in there]) if _is_moment(key, value) else _own(value)
                    for key, value in there[0].items()
                }
        if self.optim.state:
            self._link()


def _is_linear(kind: type) -> bool:
    return kind in LINEAR or (issubclass(kind, Direct) and issubclass(kind, LINEAR))


def _made(kind: Any, params: list[Tensor], options: dict[str, Any]) -> torch.optim.Optimizer:
    """An optimiser of rate 1 without decay, with these options of a group."""
    takes = inspect.signature(next(base for base in kind.__mro__ if base in LINEAR)).parameters
    given = {key: value for key, value in options.items() if key in takes}
    optim: torch.optim.Optimizer = kind(params, lr=1.0, weight_decay=0.0, **given)
    return optim


def _options(group: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key not in OWN}


def _is_moment(key: str, value: Any) -> bool:
    return isinstance(value, Tensor) and key != "step"


def _own(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
