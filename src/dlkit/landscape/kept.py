"""The checkpoints that a run kept on its way. Imports no torch."""

from __future__ import annotations

from pathlib import Path

FEWEST = 2  # beside the trained weights: three points make a plane


def kept(folder: Path) -> dict[int, Path]:
    """The checkpoints of `callbacks.checkpoint.keep_every` of a run by step, in their order.

    Raises ValueError where they are too few for a plane.
    """
    files = {int(path.stem.removeprefix("step-")): path for path in (folder / "checkpoints").glob("step-*.pt")}
    if len(files) < FEWEST:
        raise ValueError(
            f"--trajectory: {folder} kept {len(files)} checkpoints on its way, expected {FEWEST} or more; train it "
            "with callbacks.checkpoint.keep_every=STEPS"
        )
    return dict(sorted(files.items()))
