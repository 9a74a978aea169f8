"""An MNIST epoch of an MLP, dlkit beside the loop that every tutorial shows.

`DLKIT_DATA=… python -m benchmarks.tutorial`

The tutorial's: torchvision's MNIST with ToTensor, a shuffling DataLoader, Adam. dlkit's: its own trainer with its
default callbacks, evaluations aside. Both take 784-256-128-10, batch 128, float32; interleaved, medians.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from dlkit.build import build
from dlkit.settings import config_folder as configs
from dlkit.trainer import fit

STEPS = 421  # an epoch of dlkit's training split, 54,000 images
REPEATS = 5


def tutorial_epoch(loader: DataLoader) -> float:
    """Seconds for STEPS steps of the tutorial's loop."""
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(model.parameters())
    loss_function = nn.CrossEntropyLoss()
    start = time.perf_counter()
    for _, (x, y) in zip(range(STEPS), loader, strict=False):
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


def dlkit_epoch(folder: Path) -> float:
    """Seconds of training for STEPS steps of dlkit, logging and checkpoints on."""
    folder.mkdir()
    overrides = ["data=mnist", "model=mlp", "optim=adam", f"trainer.max_steps={STEPS}"]
    with initialize_config_dir(str(configs()), version_base="1.3"):
        run = build(compose("train", overrides), folder)
    fit(
        *(run.state, run.engine, run.data, run.schedule, run.callbacks),
        eval_every=run.eval_every,
        log_every=run.trainer.log_every,
    )
    return run.state.seconds


def main() -> None:
    """Prints both medians and their ratio."""
    with tempfile.TemporaryDirectory() as place:
        with initialize_config_dir(str(configs()), version_base="1.3"):
            root = compose("train", ["data=mnist"]).data.root
        # torchvision wants unpacked files: give it a folder of links in which it may unpack
        links = Path(place) / "MNIST" / "raw"
        links.mkdir(parents=True)
        for file in (Path(root) / "MNIST" / "raw").iterdir():
            (links / file.name).symlink_to(file.resolve())
        data = datasets.MNIST(place, train=True, download=True, transform=transforms.ToTensor())
        loader = DataLoader(data, batch_size=128, shuffle=True)
        times: dict[str, list[float]] = {"tutorial": [], "dlkit": []}
        for repeat in range(REPEATS):
            times["tutorial"].append(tutorial_epoch(loader))
            times["dlkit"].append(dlkit_epoch(Path(place) / f"run{repeat}"))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        print(f"{name:10s} {medians[name]:.3f} s an epoch ({min(values):.3f} to {max(values):.3f})")
    print(f"dlkit is {medians['tutorial'] / medians['dlkit']:.1f} x faster")


if __name__ == "__main__":
    main()
