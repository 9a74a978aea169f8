"""The options of dlkit's own functions and classes, read from their source with `ast`, nothing imported."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from dlkit import types
from dlkit.cli.preflight.signatures import Parameter, Signature, TargetError
from dlkit.cli.preflight.words import did_you_mean

PACKAGE = Path(__file__).resolve().parents[2]
Definition = ast.stmt | ast.expr  # a function, a class, an import, or the right side of an assignment


def signature(target: str) -> Signature:
    """What a target under `dlkit.` takes as options. Raises TargetError where there is no such name."""
    module, definition = _find("dlkit", target.split(".")[1:])
    if isinstance(definition, ast.FunctionDef):
        return _of_function(definition, _Names(module))
    if isinstance(definition, ast.ClassDef):
        return _of_class(definition, module)
    return Signature(open=True)  # made by a call, or of another package: anything goes


def _find(module: str, names: list[str]) -> tuple[str, Definition]:
    """Where a name is defined: (module, definition). As in Python, a name in a package hides a module beside it."""
    for i, name in enumerate(names):
        definition = _definitions(module).get(name)
        if isinstance(definition, ast.ImportFrom):
            return _follow(definition, name, names[i + 1 :], module)
        if definition is not None:
            return module, definition
        if _file(f"{module}.{name}") is None:
            known = [*_public(module), *_submodules(module)]
            raise TargetError(f"{module} has no {name}{did_you_mean(name, known)}")
        module = f"{module}.{name}"
    raise TargetError(f"{module} is a module; name something in it: {', '.join(_public(module)) or 'it is empty'}")


def _follow(statement: ast.ImportFrom, name: str, rest: list[str], module: str) -> tuple[str, Definition]:
    origin = next(alias.name for alias in statement.names if (alias.asname or alias.name) == name)
    if statement.module is None or statement.module.split(".")[0] != "dlkit":
        return module, statement
    return _find(statement.module, [origin, *rest])


def _file(module: str) -> Path | None:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def _submodules(module: str) -> list[str]:
    folder = PACKAGE.joinpath(*module.split(".")[1:])
    return [path.stem for path in folder.glob("*") if not path.name.startswith("_")] if folder.is_dir() else []


def _public(module: str) -> list[str]:
    """Functions and classes that a module defines itself."""
    return [
        name
        for name, node in _definitions(module).items()
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not name.startswith("_")
    ]


@cache
def _definitions(module: str) -> dict[str, Definition]:
    """What the names at the top of a module stand for."""
    file = _file(module)
    found: dict[str, Definition] = {}
    for statement in ast.parse(file.read_text(encoding="utf-8")).body if file else ():
        match statement:
            case ast.FunctionDef() | ast.ClassDef():
                found[statement.name] = statement
            case ast.ImportFrom():
                found.update({alias.asname or alias.name: statement for alias in statement.names})
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name] = value
    return found


class _Names(dict[str, Any]):
    """The names that an annotation may use, found when it is evaluated."""

    def __init__(self, module: str):
        self.module = module

    def __missing__(self, name: str) -> Any:
        for known in (types, typing, collections.abc, builtins):
            if name in vars(known):
                return vars(known)[name]
        module, definition = _find(self.module, [name])
        if isinstance(definition, ast.expr):  # an alias such as Activation = Literal["relu", "tanh"]
            return _evaluate(definition, _Names(module))
        raise KeyError(name)


def _evaluate(annotation: ast.expr | None, names: _Names) -> Any:
    """The annotation; Any where it names something that only an import would tell, such as Tensor."""
    if annotation is None:
        return Any
    try:
        return eval(compile(ast.Expression(annotation), "annotation", "eval"), {}, names)
    except (NameError, KeyError, TypeError, AttributeError, TargetError):
        return Any


def _of_function(function: ast.FunctionDef, names: _Names) -> Signature:
    """Keyword-only arguments, or, where there is no `*`, those with a default; the others are given at runtime."""
    args = function.args
    with_default = [] if args.kwonlyargs else args.args[len(args.args) - len(args.defaults) :]
    options = {arg.arg: Parameter(_evaluate(arg.annotation, names), True, False) for arg in with_default}
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        options[arg.arg] = Parameter(_evaluate(arg.annotation, names), default is not None, True)
    return Signature(options, open=args.kwarg is not None)


def _of_class(node: ast.ClassDef, module: str) -> Signature:
    """The options of `__init__`, of a dataclass's fields, or of the base class where the class adds neither."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _of_function(statement, _Names(module))
    inherited = _of_bases(node, module)
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return Signature({**inherited.parameters, **dict(_fields(node, _Names(module)))})
    return inherited


def _of_bases(node: ast.ClassDef, module: str) -> Signature:
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in _definitions(module):
            home, definition = _find(module, [base.id])
            if isinstance(definition, ast.ClassDef):
                return _of_class(definition, home)
    return Signature()


def _fields(node: ast.ClassDef, names: _Names) -> Iterator[tuple[str, Parameter]]:
    """A dataclass's fields: those after `_: KW_ONLY` where it has that mark, else all of them."""
    fields = [field for field in node.body if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)]
    marks = [i for i, field in enumerate(fields) if "KW_ONLY" in ast.unparse(field.annotation)]
    for field in fields[marks[0] + 1 if marks else 0 :]:
        written = ast.unparse(field)
        if isinstance(field.target, ast.Name) and "ClassVar" not in written and "init=False" not in written:
            yield field.target.id, Parameter(_evaluate(field.annotation, names), field.value is not None, True)
