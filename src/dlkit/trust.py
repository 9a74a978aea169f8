"""Which objects the config of a run that somebody else made may name: none that runs code of their choice."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

PACKAGES = ("dlkit", "torch", "torchvision", "torchaudio")  # nothing else is even imported
BRICKS = ("data", "models", "losses", "regularizers", "optim", "schedules", "inits", "callbacks", "settings")


class Untrusted(ValueError):
    """A config that names what may not be called."""


def refuse_untrusted(config: dict[str, Any], where: str) -> None:
    """Raises Untrusted where the config names anything but what `is_allowed` takes; `where` is said to the user."""
    bad = [f"{key}={name}" for key, name in targets(config) if not is_allowed(name)]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise Untrusted(
            f"{where}: {', '.join(bad[:3])}{more}: neither a part of dlkit nor a module or optimiser of torch, so it "
            "could run any code; add --trust if you know where this run comes from"
        )


def targets(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys and values of all that names an object, at any depth."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    for key, value in pairs:
        place = f"{prefix}.{key}" if prefix else str(key)
        if key == "_target_" or place == "data.encoder":
            yield place, value
        else:
            yield from targets(value, place)


def is_allowed(name: Any) -> bool:
    """Whether this dotted name is a function or class that dlkit defines for configs, or a subclass of `nn.Module` or
    `Optimizer` that torch, torchvision or torchaudio defines.

    The object decides, not its name: `torch.hub.load` is torch's and runs code, `dlkit.build.get_object` is another's.
    """
    found = _resolve(name) if isinstance(name, str) else None
    if not (inspect.isclass(found) or inspect.isfunction(found)) or "." in found.__qualname__:
        return False
    package, _, rest = found.__module__.partition(".")
    if package == "dlkit":
        return rest.partition(".")[0] in BRICKS and not found.__name__.startswith("_")
    from torch.nn import Module
    from torch.optim import Optimizer

    return package in PACKAGES and inspect.isclass(found) and issubclass(found, Module | Optimizer)


def _resolve(name: str) -> Any:
    """The object of that name in one of the packages, None where there is none. Imports modules of theirs at most."""
    parts = name.split(".")
    if parts[0] not in PACKAGES or any(part.startswith("_") for part in parts):
        return None
    try:
        found: Any = importlib.import_module(parts[0])
        for i, part in enumerate(parts[1:], start=2):
            if not hasattr(found, part) and inspect.ismodule(found):
                importlib.import_module(".".join(parts[:i]))
            found = getattr(found, part)
    except Exception:  # whatever an import runs into
        return None
    return found
