"""Several optimisers behind one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


class Together(torch.optim.Optimizer):
    """Optimisers over different parameters as one: one list of groups, one state, one `state_dict`.

    The groups are those of the parts themselves, so a rate that is set here is the rate there.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]):
        self.parts = tuple(parts)
        self.sizes = [len(part.param_groups) for part in self.parts]
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._share()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every part."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)  # makes new groups and a new state
        self._share()

    def _share(self) -> None:
        """Gives the parts the groups and the state that stand here."""
        first = 0
        for part, size in zip(self.parts, self.sizes, strict=True):
            part.param_groups = self.param_groups[first : first + size]
            part.state = self.state
            first += size
