"""What the config of a run that somebody else made may name: nothing that runs code of their choice.

Its weights are read with `weights_only=True`, its other files as JSON and plain YAML. What is left is the config's
`_target_`s: dlkit would call whatever they name. What the user types is trusted.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dlkit.runs import written_by
from dlkit.settings import config_folder

PACKAGES = ("dlkit", "torch", "torchvision", "torchaudio")  # nothing of another is even imported
PARTS_OF_TORCH = ("nn", "optim")  # not fx, jit, distributed: some of their modules run or fetch what they are given
NAMED = re.compile(r"^[ -]*(?:_target_|encoder|figure): *(dlkit\.[\w.]+)", flags=re.MULTILINE)


class Untrusted(ValueError):
    """A run whose config names what may not be called, or whose folder leads elsewhere."""


def refuse_untrusted(config: dict[str, Any], folder: Path) -> None:
    """Raises Untrusted where the config of the run in `folder` names anything but what `is_allowed` takes, or a link in
    the folder leads out of it: dlkit would write there."""
    _refuse_links(folder)
    bad = [(key, name) for key, name in targets(config) if not is_allowed(name)]
    if not bad:
        return
    shown = ", ".join(f"{key}={name if str(name).isprintable() else ascii(name)}" for key, name in bad[:3])
    more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    where = f"{folder / 'config.yaml'}: {shown}{more}: "
    if all(_is_gone(name) for _, name in bad):
        raise Untrusted(f"{where}this dlkit has no such part. {written_by(folder)}")
    raise Untrusted(
        f"{where}neither a brick of dlkit nor a module or optimiser of torch, so it could run any code; add --trust "
        "(trust=True in Python) if you know where this run comes from"
    )


def flag(config: dict[str, Any]) -> str:
    """What a command on a run of this config needs behind it: ` --trust`, or nothing."""
    return "" if all(is_allowed(name) for _, name in targets(config)) else " --trust"


def _refuse_links(folder: Path) -> None:
    inside = folder.resolve()
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            raise Untrusted(
                f"{path}: is a link out of the run's folder, to {path.readlink()}, where dlkit would write; add "
                "--trust (trust=True in Python) if that is what you want"
            )


def targets(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys and values of all that names an object, at any depth."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    for key, value in pairs:
        place = f"{prefix}.{key}" if prefix else str(key)
        if key == "_target_" or (place in ("data.encoder", "figure") and value is not None):
            yield place, value
        else:
            yield from targets(value, place)


def is_allowed(name: Any) -> bool:
    """Whether a file of dlkit's own configs names this, or it is a subclass of `nn.Module` or `Optimizer` that dlkit,
    torch, torchvision or torchaudio defines.

    The object decides, not the package in its name: `torch.hub.load` is torch's and runs code, `dlkit.rundir.os.system`
    is nobody's in dlkit, and `dlkit.data.reading.cache.cached` is dlkit's and calls what it is given.
    """
    if not isinstance(name, str):
        return False
    if name in _of_configs():
        return True
    found = _resolve(name)
    if not inspect.isclass(found) or found.__name__.startswith("_"):
        return False
    from torch.nn import Module
    from torch.optim import Optimizer

    if not issubclass(found, Module | Optimizer):
        return False
    return all(_is_plain(base.__module__) for base in found.__mro__ if base.__module__.startswith("torch"))


@cache
def _of_configs() -> frozenset[str]:
    """What dlkit's own config files name: its bricks."""
    files = config_folder().rglob("*.yaml")
    return frozenset(name for file in files for name in NAMED.findall(file.read_text(encoding="utf-8")))


def _is_plain(module: str) -> bool:
    """Whether the modules that a package of torch defines there only compute."""
    package, _, rest = module.partition(".")
    return package != "torch" or rest.partition(".")[0] in PARTS_OF_TORCH


def _resolve(name: str) -> Any:
    """The object of that name in one of the packages, None where there is none. Imports public modules of theirs."""
    parts = name.split(".")
    if parts[0] not in PACKAGES or any(part.startswith("_") for part in parts) or not _is_installed(parts[0]):
        return None
    try:
        found: Any = importlib.import_module(parts[0])
        for i, part in enumerate(parts[1:], start=2):
            if not hasattr(found, part) and inspect.ismodule(found):
                importlib.import_module(".".join(parts[:i]))
            found = getattr(found, part)
    except Exception:  # whatever an import runs into
        return None
    return found if str(getattr(found, "__module__", "")).partition(".")[0] in PACKAGES else None


def _is_installed(package: str) -> bool:
    """Whether it is not just a file or folder of that name in the working folder, which may be the stranger's."""
    if package in sys.modules:
        return True
    spec = find_spec(package)
    return spec is not None and spec.origin is not None and Path.cwd() not in Path(spec.origin).resolve().parents[:2]


def _is_gone(name: Any) -> bool:
    """Whether this is a name of dlkit's with nothing behind it."""
    return isinstance(name, str) and name.startswith("dlkit.") and "._" not in name and _resolve(name) is None


def add_working_folder() -> None:
    """Lets a user's own modules be imported from the folder in which the command is typed."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
