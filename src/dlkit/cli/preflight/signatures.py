"""The options that a `_target_` takes: from dlkit's source without importing it, from other modules by importing them.

Importing a brick of dlkit costs the import of torch, seconds; reading its source costs a millisecond, so that a wrong
command is answered at once. Other people's modules are imported, since that is the only way to find a broken one.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
import typing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from dlkit.cli.preflight.words import did_you_mean
from dlkit.trust import PACKAGES, add_working_folder


@dataclass(frozen=True)
class Parameter:
    """One argument of a target."""

    annotation: Any  # typing.Any where it cannot be evaluated: anything goes
    has_default: bool
    keyword_only: bool


@dataclass(frozen=True)
class Signature:
    """The options of a target by name; `open` where it also takes names of any kind (**kwargs)."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    open: bool = False

    def __or__(self, other: Signature) -> Signature:
        """The options of both, where one node of the config serves two functions; the first one's come first."""
        return Signature({**other.parameters, **self.parameters}, self.open or other.open)


class TargetError(ValueError):
    """A `_target_` that cannot be found or imported; `__cause__` is the error of the import, where there is one."""


@cache
def signature(target: str) -> Signature:
    """What the target takes. Runtime objects, which dlkit's targets take first and by position, are left out.

    Raises TargetError, which names the part that fails and the closest name.
    """
    if is_ours(target):
        from dlkit.cli.preflight import source

        return source.signature(target)
    return _imported(target)


def is_ours(target: str) -> bool:
    """Whether the target can be read from dlkit's source."""
    return target.split(".")[0] == "dlkit"


def _imported(target: str) -> Signature:
    """The signature of a function or class of another package, which may lie in the working folder."""
    if target.split(".")[0] not in PACKAGES:
        add_working_folder()
    found = _locate(target)
    if not callable(found):
        raise TargetError(f"this is a {type(found).__name__}, not a class or function")
    try:
        arguments = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):  # written in C
        return Signature(open=True)
    hints = _hints(found)
    keyword_only = any(a.kind is a.KEYWORD_ONLY for a in arguments)
    options = {
        a.name: Parameter(hints.get(a.name, Any), a.default is not a.empty, a.kind is a.KEYWORD_ONLY)
        for a in arguments
        if a.kind is a.KEYWORD_ONLY
        or (a.kind is a.POSITIONAL_OR_KEYWORD and (a.default is not a.empty or not keyword_only))
    }  # before keyword-only options, what has no default is given at runtime
    return Signature(options, open=any(a.kind is a.VAR_KEYWORD for a in arguments))


def _hints(found: Any) -> dict[str, Any]:
    function = found.__init__ if inspect.isclass(found) else found
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # an annotation that needs names known to type checkers only
        return {}


def _locate(target: str) -> Any:
    """The object of that name: a module as far as there are modules, then attributes."""
    parts = target.split(".")
    found = _import(parts[0])
    for i, part in enumerate(parts[1:], start=1):
        before = ".".join(parts[:i])
        if not hasattr(found, part) and inspect.ismodule(found) and hasattr(found, "__path__"):
            _import(f"{before}.{part}")
        if not hasattr(found, part):
            raise TargetError(f"{before} has no {part}{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
    return found


def _import(module: str) -> Any:
    """The imported module. Raises TargetError with the real cause, not with its last symptom."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise TargetError(_failed_import(module, error)) from error
        before, _, last = module.rpartition(".")
        if before:
            names = [*dir(sys.modules[before]), *_modules_in(sys.modules[before].__path__)]
            raise TargetError(f"{before} has no {last}{did_you_mean(last, names)}") from None
        hint = did_you_mean(module, _modules_in([str(Path.cwd())]))
        raise TargetError(f"there is no module {module}, neither in this folder nor installed{hint}") from None
    except (Exception, SystemExit) as error:
        raise TargetError(_failed_import(module, error)) from error


def _modules_in(folders: typing.Iterable[str]) -> list[str]:
    files = [path for folder in folders for path in Path(folder).iterdir()]
    return [path.stem for path in files if path.suffix == ".py" or (path / "__init__.py").is_file()]


def _failed_import(module: str, error: BaseException) -> str:
    """`import of my.models failed: NameError: name 'nn' is not defined (my/models.py, line 7)`."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    if isinstance(error, SyntaxError):
        file, line, message = error.filename or "", error.lineno, error.msg
    else:
        file, line, message = (frames[-1].filename, frames[-1].lineno, str(error)) if frames else ("", 0, str(error))
    first = message.splitlines()[0] if message else ""
    place = f" ({_short(file)}, line {line})" if file and Path(file) != Path(__file__) else ""
    return f"import of {module} failed: {type(error).__name__}: {first}{place}"


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
