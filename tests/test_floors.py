"""The house: a file imports only from lower floors, and hydra only where configs become objects."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "dlkit"

# From the ground up. On a floor, what stands earlier may be imported by what stands later, but for the bricks, which
# never import each other.
FLOORS = [
    ["dist", "machine", "types", "answers", "calibration", "rng", "log", "settings", "plots"],
    [
        *("data", "models", "losses", "metrics", "schedules", "inits", "regularizers", "optim"),
        *("summary", "runtime", "ema", "transfer"),
    ],
    ["rundir", "measure", "state", "guard", "engine", "captured", "probe", "callbacks"],
    ["trainer", "parallel"],
    [
        *(
            "mistakes",
            "runs",
            "records",
            "config_text",
            "begin",
            "trust",
            "making",
            "parts",
            "build",
            "final",
            "predict",
        ),
        *("trained", "evaluation", "landscape", "lectures", "export", "lr_range", "look", "show", "result", "run"),
        *("stacked", "reproduce", "sweeps", "cli", "library"),
    ],
]
BRICKS = FLOORS[1]
# What turns configs into objects.
HYDRA = {
    *("runs", "config_text", "begin", "making", "parts", "build", "trained", "evaluation", "show", "result", "run"),
    *("stacked", "reproduce", "sweeps", "cli"),
}


def imports(path: Path) -> set[str]:
    """Modules of dlkit (their first part) and hydra, that a file imports anywhere, type-checking blocks aside."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "dlkit":
                found.add(rest.partition(".")[0])
            elif top in ("hydra", "omegaconf"):
                found.add("hydra")
    return found - {"__version__"}


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(i for i, names in enumerate(FLOORS) if name in names)


TEMPLATE = SOURCE / "cli" / "template"  # of a project of one's own, which is no part of the house
FILES = sorted(
    path for path in SOURCE.rglob("*.py") if part(path) not in ("__init__", "__main__") and TEMPLATE not in path.parents
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_only_from_lower_floors(path: Path) -> None:
    me = part(path)
    for other in imports(path) - {"hydra", me}:
        if floor(other) == floor(me):
            order = FLOORS[floor(me)]
            assert order is not BRICKS, f"{me} imports {other}: bricks do not import each other"
            assert order.index(other) < order.index(me), f"{me} imports {other}, which stands later on its floor"
        assert floor(other) <= floor(me), f"{me} imports {other}, which stands higher"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_hydra_stays_in_the_files_that_turn_configs_into_objects(path: Path) -> None:
    assert "hydra" not in imports(path) or part(path) in HYDRA


def test_every_part_of_the_house_has_a_floor() -> None:
    assert {part(path) for path in FILES} == set().union(*FLOORS)
