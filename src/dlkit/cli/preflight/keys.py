"""Keys that do not exist: the closest one that does, and what the node holds instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlkit.cli.preflight.words import similarity

# What other programs call these options; spelling alone would not find them.
ALIASES = {
    "learning_rate": "optim.lr",
    "wd": "optim.weight_decay",
    "bs": "data.batch_size",
    "batch": "data.batch_size",
    "max_epochs": "trainer.epochs",
    "num_epochs": "trainer.epochs",
    "gpu": "trainer.device",
    "cuda": "trainer.device",
    "precision": "trainer.dtype",
    "layers": "model.hidden",
    "output_dir": "run_dir",
}
SIMILAR = 0.65


def unknown(key: str, config: dict[str, Any], owners: str = "") -> str:
    """The line for a key that nothing reads: `optim.lrr: no such option; did you mean optim.lr? optim has: lr, …`.

    `owners` names the choices that have the key, which says more than a similar key.
    """
    best = None if owners else nearest(key, config)
    hint = f"; did you mean {best}?" if best else f"; it is one of {owners}." if owners else "."
    node, names = _names(key, config)
    return f"{key}: no such option{hint} {node} {', '.join(names)}"


def nearest(key: str, config: dict[str, Any]) -> str | None:
    """The valid key most like this one: in the same node, or one of the same last name in another."""
    known = [path for path in paths(config) if not f"{key}.".startswith(f"{path}.")]
    parent, _, last = key.rpartition(".")
    if ALIASES.get(last) in known:
        return ALIASES[last]
    is_node = bool(parent) and exists(parent, config)
    best = max(known, key=lambda path: _likeness(key, path, is_node), default="")
    return best if best and _likeness(key, best, is_node)[0] >= SIMILAR else None


def _likeness(key: str, path: str, is_node: bool) -> tuple[float, float]:
    """By the whole key where its node may be mistyped too; by the last name in other nodes (`lr` is `optim.lr`)."""
    (parent, _, last), (other, _, name) = key.rpartition("."), path.rpartition(".")
    whole = similarity(key, path)
    same = similarity(last, name)
    elsewhere = 0.95 * same if same > 0.8 else 0.0
    if is_node:
        return (max(same, elsewhere) if parent == other else elsewhere), whole
    return max(whole, elsewhere), whole


def paths(node: Any, before: str = "") -> Iterator[str]:
    """All keys of the config with dots, without those that speak to Hydra (`_target_`)."""
    for name, value in node.items() if isinstance(node, dict) else ():
        if not str(name).startswith("_"):
            yield f"{before}{name}"
            yield from paths(value, f"{before}{name}.")


def exists(key: str, config: Any) -> bool:
    """Whether the config holds this dotted key."""
    return lookup(key, config) is not None


def lookup(key: str, config: Any) -> tuple[Any] | None:
    """The value at a dotted key, in a tuple, since it may be None itself; None where there is no such key."""
    node = config
    for name in key.split("."):
        if isinstance(node, list) and name.isdigit() and int(name) < len(node):
            node = node[int(name)]
        elif isinstance(node, dict) and name in node:
            node = node[name]
        else:
            return None
    return (node,)


def _names(key: str, config: dict[str, Any]) -> tuple[str, list[str]]:
    """The nearest node above the key that exists, and the names in it."""
    parent = key.rpartition(".")[0]
    while parent:
        found = lookup(parent, config)
        if found and isinstance(found[0], dict):
            return f"{parent} has:", [name for name in found[0] if not str(name).startswith("_")] or ["no options"]
        parent = parent.rpartition(".")[0]
    return "There are:", [name for name in config if name != "hydra"]
