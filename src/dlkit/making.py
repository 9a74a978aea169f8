"""From a node of the config to what its `_target_` names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

from hydra.utils import get_method, instantiate
from omegaconf import DictConfig


def make(node: DictConfig) -> Any:
    """The node's target with its options filled in, still to be called with what only a run knows."""
    made = _once("made", node, lambda: instantiate(node, _partial_=True, _convert_="all"))
    if _known is None:
        return made
    return partial(made.func, *made.args, **deepcopy(made.keywords))  # what one run changes is not another's


def expect(kind: Any, what: str, key: str, node: DictConfig, made: Any) -> Any:
    """What a node's target gave. Raises ValueError where that is not of a kind, which `what` says in words."""
    if not isinstance(made, kind):
        raise ValueError(f"{key}._target_={node._target_}: gives {type(made).__name__}; expected {what}")
    return made


def split_shared(node: DictConfig, shared: Any) -> tuple[DictConfig, dict[str, Any]]:
    """Parts a group's node into the arguments of its own target and those of the function that all choices share."""
    rest, options = _once("split", node, lambda: _split(node, shared))
    return rest, dict(options)


@contextmanager
def remembering() -> Iterator[None]:
    """Within, a node is changed by putting another in its place only: so each goes through Hydra once, at 1 ms."""
    global _known
    _known = {}
    try:
        yield
    finally:
        _known = None


_known: dict[tuple[str, int], tuple[DictConfig, Any]] | None = None  # with the nodes, whose ids so stay their own


def _once(what: str, node: DictConfig, find: Callable[[], Any]) -> Any:
    if _known is None:
        return find()
    if (what, id(node)) not in _known:
        _known[what, id(node)] = (node, find())
    return _known[what, id(node)][1]


def _split(node: DictConfig, shared: Any) -> tuple[DictConfig, dict[str, Any]]:
    own = inspect.signature(get_method(node._target_)).parameters
    names = {name for name in inspect.signature(shared).parameters if name in node and name not in own}
    rest = {
        name: instantiate(node[name], _convert_="all") if isinstance(node[name], DictConfig) else node[name]
        for name in names
    }
    return DictConfig({key: node[key] for key in node if key not in names}), rest
