"""Where the config folder is."""

from __future__ import annotations

from pathlib import Path


def folder() -> Path:
    """The shipped config folder: inside the package in a wheel, beside `src/` in a clone (editable install)."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "configs"
    return packaged if packaged.is_dir() else package.parents[1] / "configs"
