"""Pictures of TensorBoard for docs/dashboards.

`DLKIT_DATA=… python tests/dashboards/screenshots.py [FOLDER [PICTURE …]]`

Trains a few small models into the folder, or takes those that are there, opens each tab in Chromium and writes what it
shows. Takes minutes; look at the pictures before they are committed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from browser import browsed, go
from PIL import Image
from served import served

if TYPE_CHECKING:
    from playwright.sync_api import Page

PLACE = Path(__file__).resolve().parents[2] / "docs" / "dashboards"
WAIT = 5000  # ms until a tab has drawn
COLOURS = 128  # of a picture: a third of the bytes
RUNS = {  # folder: options
    "images": "data=mnist model=cnn callbacks=everything trainer.epochs=2",
    "texts": "experiment=mr_cnn callbacks=everything trainer.epochs=2",
    "sounds": "data=fsdd model=cnn_speech callbacks=everything trainer.epochs=5",
}
SWEEP = "-m data=digits model=logreg,mlp,cnn optim.lr=0.001,0.01 trainer.epochs=5 sweep=models"


def train(root: Path, folder: str) -> None:
    """What is not there yet."""
    if folder in RUNS and not (root / folder / "result.json").is_file():
        dlkit(root, *RUNS[folder].split(), f"run_dir={folder}")
    elif folder not in RUNS and not (root / folder / "report.html").is_file():
        dlkit(root, *SWEEP.split())


def dlkit(root: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dlkit", "train", *words, "callbacks.progress=null"], cwd=root, check=True)


def filtered(words: str) -> Callable[[Page], None]:
    """Time Series with some tags alone, and without its settings."""

    def act(page: Page) -> None:
        page.get_by_role("button", name="Settings").first.click()
        page.get_by_role("combobox", name="Filter tags (regex)").fill(words)
        page.keyboard.press("Enter")
        page.mouse.click(400, 130)  # beside the list of what fits, which goes away

    return act


def scrolled(text: str) -> Callable[[Page], None]:
    """What stands under a heading."""
    return lambda page: page.get_by_text(text, exact=True).first.evaluate("one => one.scrollIntoView()")


def large(group: str) -> Callable[[Page], None]:
    """A group of pictures in their own size."""

    def act(page: Page) -> None:
        page.get_by_text("Show actual image size").click()
        heading = page.get_by_text(group, exact=True).first
        page.wait_for_timeout(WAIT / 2)
        heading.evaluate("one => one.scrollIntoView()")

    return act


def nothing(page: Page) -> None:
    """The tab as it opens."""


SHOTS: dict[str, tuple[str, str, Callable[[Page], None]]] = {  # picture: folder, tab and what is done there
    "time_series": ("images", "timeseries", filtered("^(train|val)/")),
    "custom_scalars": ("images", "custom_scalars", nothing),
    "examples": ("images", "images", nothing),
    "feature_maps": ("images", "images", large("within")),
    "evaluation": ("images", "images", large("val")),
    "graph": ("images", "graphs", nothing),
    "distributions": ("images", "distributions", nothing),
    "histograms": ("images", "histograms", nothing),
    "pr_curves": ("images", "pr_curves", nothing),
    "projector": ("images", "projector", nothing),
    "texts": ("texts", "text", scrolled("val")),
    "sounds": ("sounds", "audio", nothing),
    "spectrograms": ("sounds", "images", nothing),
    "hparams": ("outputs/sweeps/models", "hparams", nothing),
}


def shoot(page: Page, name: str, address: str) -> None:
    _, tab, act = SHOTS[name]
    go(page, address, tab)
    page.wait_for_timeout(WAIT)
    act(page)
    page.wait_for_timeout(WAIT / 2)
    with Image.open(BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(COLOURS).save(PLACE / f"{name}.png", optimize=True)
    print(name, f"{(PLACE / f'{name}.png').stat().st_size / 1000:.0f} kB")


def main(root: Path, names: list[str]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    for folder in dict.fromkeys(SHOTS[name][0] for name in names):
        train(root, folder)
        with served(root / folder, runs=len(list((root / folder).rglob("result.json")))) as server, browsed() as page:
            for name in names:
                if SHOTS[name][0] == folder:
                    shoot(page, name, server.address)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(sys.argv[1] if sys.argv[1:] else place).resolve(), sys.argv[2:] or list(SHOTS))
