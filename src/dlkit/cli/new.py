"""Begin a project of your own: `dlkit new myproject` writes a folder with configs, a model, a data set and a test.

It runs at once: `cd myproject`, then `dlkit train --config-dir conf experiment=first`. The name is also that of the
Python package inside, so it takes letters, digits and `_`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dlkit.cli.arguments import Parser
from dlkit.mistakes import answered

TEMPLATE = Path(__file__).parent / "template"
NAME = "myproject"  # in the template's files and their names


def main(args: list[str] | None = None) -> None:
    """Writes the folder and says what to type next; exits with 2 for a mistake."""
    parser = Parser("new", __doc__)
    parser.add_argument("folder", metavar="NAME", type=Path, help="the folder to make; its last part names the project")
    folder = parser.parse_args(args).folder
    with answered():
        files = write(folder)
    print(f"{folder}: {len(files)} files")
    for file in files:
        print(f"  {file.relative_to(folder)}")
    print(f"next    cd {folder} && dlkit train --config-dir conf experiment=first")


def write(folder: Path) -> list[Path]:
    """Writes the project into the folder; its files. Raises ValueError for a name that Python cannot import, and where
    there is something already."""
    name = folder.name
    if not name.isidentifier() or name in sys.stdlib_module_names or name in ("dlkit", "tests"):
        raise ValueError(f"dlkit new {folder}: {name or 'this'} can be no package of yours; letters, digits and _ can")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"dlkit new {folder}: there is something already; name a new folder")
    written = []
    for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        inside = str(source.relative_to(TEMPLATE)).replace(NAME, name).replace("gitignore", ".gitignore")
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text(encoding="utf-8").replace(NAME, name), encoding="utf-8")
        written.append(target)
    return written
