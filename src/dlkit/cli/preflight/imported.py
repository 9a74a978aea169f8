"""The options of functions and classes of other packages, which are imported for that."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
import typing
from pathlib import Path
from typing import Any

from dlkit.cli.preflight.signatures import Parameter, Signature, TargetError
from dlkit.cli.preflight.words import did_you_mean
from dlkit.rundir import shown
from dlkit.trust import PACKAGES, add_working_folder


def signature(target: str, given: tuple[str, ...] = ()) -> Signature:
    """The signature of a function or class of another package, which may lie in the working folder.

    `given` is what it will be called with first, by position. Raises TargetError where it does not take that.
    """
    if target.split(".")[0] not in PACKAGES:
        add_working_folder()
    found = _locate(target)
    if not callable(found):
        raise TargetError(f"this is a {type(found).__name__}, not a class or function")
    try:
        arguments = list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):  # written in C
        return Signature(open=True)
    first = [a for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)][: len(given)]
    if len(first) < len(given) and not any(a.kind is a.VAR_POSITIONAL for a in arguments):
        takes = ", ".join(a.name for a in arguments)
        raise TargetError(f"is called as ({', '.join(given)}, *, options), and takes ({takes})")
    hints = _hints(found)
    options = {
        a.name: Parameter(hints.get(a.name, Any), a.default is not a.empty, a.kind is a.KEYWORD_ONLY)
        for a in arguments
        if a.kind in (a.KEYWORD_ONLY, a.POSITIONAL_OR_KEYWORD) and a not in first
    }
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
            hint = did_you_mean(last, names) or _further_in(before)
            raise TargetError(f"{before} has no {last}{hint}") from None
        hint = did_you_mean(module, _modules_in([str(Path.cwd())]))
        raise TargetError(f"there is no module {module}, neither in this folder nor installed{hint}") from None
    except (Exception, SystemExit) as error:
        raise TargetError(_failed_import(module, error)) from error


def _further_in(package: str) -> str:
    """Where to type the command, if the folder is a project, seen from the one around it, with the package inside."""
    for folder in map(Path, sys.modules[package].__path__):
        if (folder / package / "__init__.py").is_file():
            return f"; the package {package} lies in {folder}: type the command there"
    return ""


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
    place = f" ({shown(file)}, line {line})" if file and Path(file) != Path(__file__) else ""
    return f"import of {module} failed: {type(error).__name__}: {first}{place}"
