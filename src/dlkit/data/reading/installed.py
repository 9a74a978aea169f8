"""Files that come with scikit-learn, found without importing it: the import would cost 0.7 s."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def installed(choice: str, name: str) -> Path:
    """The file `name` of scikit-learn's data sets. Raises ValueError, naming `data=choice`, where it is not there."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ValueError(f"data={choice} comes with scikit-learn, which is not installed: pip install scikit-learn")
    path = Path(spec.origin).parent / "datasets" / "data" / name
    if not path.is_file():
        raise ValueError(f"data={choice}: {path} is missing; install scikit-learn anew")
    return path
