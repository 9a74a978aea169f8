"""Seconds from the command to the end of the first training step: whole processes, in turns."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.peers.contest import turns
from benchmarks.peers.report import ratio, spread

GOAL = 0.75
STAMP = """
import time
from dlkit.callbacks.base import Callback

class Stamp(Callback):
    def __init__(self, *, path: str):
        self.path = path

    def on_step(self, state):
        with open(self.path, "w") as file:
            file.write(repr(time.time()))
"""
LIGHTNING = """
import sys, time
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
import lightning as L

class Classifier(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self.model(x), y)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)

class Stamp(L.Callback):
    def on_train_batch_end(self, *args):
        with open(sys.argv[2], "w") as file:
            file.write(repr(time.time()))

table = torch.from_numpy(np.loadtxt(sys.argv[1], delimiter=",", dtype=np.float32))
data = TensorDataset(table[:, :-1] / 16, table[:, -1].long())
trainer = L.Trainer(max_steps=1, callbacks=[Stamp()])
trainer.fit(Classifier(), DataLoader(data, batch_size=32, shuffle=True))
"""
TEXT = """Whole processes: dlkit's is `dlkit train model=mlp data=digits`, with its checks, its run's folder and its
default callbacks; Lightning's is a script as its documentation writes it, the digits read from the same file without
importing scikit-learn. The clock stops at the end of the first step."""


def measure(quick: bool) -> dict[str, Any]:
    """Both, and `import torch` alone for comparison."""
    commands = {"dlkit": dlkit, "Lightning": lightning, "import torch": bare}
    if not find_spec("lightning"):
        del commands["Lightning"]
    found = turns(commands, 3 if quick else 7)  # the first round fills the disk's cache
    beside = ratio(found.get("dlkit"), found.get("Lightning"))
    return {
        "title": "From the command to the first step",
        "text": TEXT,
        "head": ["", "seconds"],
        "rows": [[name, spread(times)] for name, times in found.items()],
        "goals": [["dlkit ÷ Lightning, seconds to the end of the first step", beside, GOAL, "<="]],
    }


def dlkit() -> float:
    """A user's own callback, named on the command line, notes the time."""
    words = ["model=mlp", "data=digits", "trainer.max_steps=1"]
    callback = ["+callbacks.stamp._target_=program.Stamp", "+callbacks.stamp.path=stamp"]
    return _seconds(STAMP, "-m", "dlkit", "train", *words, *callback)


def lightning() -> float:
    """The documentation's script."""
    return _seconds(LIGHTNING, "program.py", str(digits_file()), "stamp")


def bare() -> float:
    """What no program that uses torch can go below."""
    return _seconds("import time, torch\nopen('stamp', 'w').write(repr(time.time()))", "program.py")


def digits_file() -> Path:
    """scikit-learn's digits, found without importing it."""
    (place,) = find_spec("sklearn").submodule_search_locations
    return Path(place) / "datasets" / "data" / "digits.csv.gz"


def _seconds(program: str, *arguments: str) -> float:
    """From the start of Python with these arguments, in a folder with program.py, to the time written to `stamp`."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "program.py").write_text(program)
        path = os.pathsep.join([place, os.environ.get("PYTHONPATH", "")])
        command, begin = [sys.executable, *arguments], time.time()
        done = subprocess.run(command, cwd=place, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
        if not (folder / "stamp").exists():
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
        return float((folder / "stamp").read_text()) - begin
