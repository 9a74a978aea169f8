"""Runs of two processes, and the same in one. As a program, begun by torchrun, it makes many after one another: a
process costs seconds, a run less than one."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
from contextlib import redirect_stderr
from pathlib import Path

import small_sets
from torch import Tensor, nn

import dlkit
from dlkit import dist
from dlkit.callbacks.base import Callback
from dlkit.cli.train import main
from dlkit.state import State
from dlkit.types import Spec

SHORT = ["callbacks=minimal", "trainer.log_every=3", "trainer.epochs=2", "data.batch_size=13"]  # 7 examples and 6
PICTURES = ["data=image_folder", "data.root=own/pictures", "data.size=8", "data.cache=cache", "data.workers=0"]
STREAMED = [*PICTURES, "data.memory_limit=1e-9", "data.cache_limit=0"]
SOUNDS = ["data=audio_folder", "data.root=own/sounds", "data.sample_rate=8000", "data.cache=cache", "model.dropout=0"]
TEXTS = ["data=text_csv", "data.path=own/texts.csv", "data.text=text", "data.label=kind"]
CHANGED = ["data.augment.flip=0.5", "data.augment.crop=2", "data.augment.rotate=10"]

QUICK = {  # come to the same end in one process and in two
    "images": [*PICTURES, *CHANGED, "data.augment.mixup=0.3", "model=cnn"],
    "texts": [*TEXTS, "model=lstm_text", "model.dropout=0", "data.test_fraction=0.02"],  # one example to test on
    "in_parts": [
        *("data=iris", "trainer.accumulate=3", "trainer.ema=0.9", "regularizer=l2", "regularizer.gamma=0.1"),
        *("callbacks=default", "~callbacks.tensorboard", "callbacks.grad_clip.max_norm=0.5"),
    ],
}
SLOW = {  # likewise
    "table": ["data=table_csv", "data.path=own/table.csv", "data.target=kind", "data.sampler=balanced"],
    "sounds": [*SOUNDS, "model=lstm_speech", "data.augment.speed=0.1", "data.augment.noise=0.1"],
    "files": [*STREAMED, *CHANGED, "model=cnn"],
    "digits": ["data=digits", "trainer.limit_batches=5", "trainer.deterministic=true"],
    "files_mixed": [*STREAMED, "data.augment.cutmix=1"],
    "files_once": [*STREAMED, "data.batch_size=full", "trainer.epochs=4"],
    "numbers": ["data=diabetes", "optim=sgd", "trainer.epochs=1"],
    "sounds_as_features": [*SOUNDS, "model=cnn_speech", "model.batch_norm=false", "data.val_fraction=0"],
    "sounds_streamed": [
        *(*SOUNDS, "data.seconds=0.2", "data.memory_limit=1e-9", "data.cache_limit=0", "data.workers=0"),
        *("data.augment.shift=0.1", "model=lstm_speech"),
    ],
    "full": ["data=iris", "data.batch_size=full", "optim=sgd", "optim.lr=0.1", "trainer.epochs=10"],
    "first_batches": ["data=digits", "trainer.overfit_batches=3", "trainer.epochs=4", "init=lsuv"],
    "sparse": ["data=iris", "regularizer=l1", "regularizer.gamma=0.01", "optim=momentum"],
    "forgetful": ["data=iris", "model=forgetful"],
    "early": [
        *("data=iris", "callbacks=default", "callbacks.early_stop.patience=1", "optim.lr=0.1", "trainer.epochs=50"),
        "final.weights=best",
    ],
    "average": ["data=iris", "callbacks=default", "callbacks.checkpoint.keep_every=2", "final.weights=average_last"],
}
ASKED = ["callbacks=asked", "data=iris", "trainer.epochs=4"]
ENDS = {  # how runs of two processes end and go on
    "unbroken": ["data=iris", "model.dropout=0.5", "trainer.epochs=4"],
    "interrupted": [*ASKED, "model.dropout=0.5", "callbacks.asked.signal_at=11"],
    "asked": [*ASKED, "callbacks.asked.stop_at=11", "trainer.epochs=1000"],
    "diverged": ["data=iris", "optim=sgd", "optim.lr=1e30", "trainer.epochs=4"],
}
TIMED = {"timed": ["data=iris", "trainer.epochs=null", "trainer.max_time=0.005"]}
MISTAKES = {
    "typed": ["optim.lr=abc"],
    "data": ["data=image_folder", "data.root=nowhere"],
    "small": ["data=iris", "data.batch_size=1"],
    "sweep": ["-m", "optim.lr=0.1,0.01"],
    "taken": ["data=iris", "run_dir=two/images"],
}
CONFIGS = {
    "callbacks/asked.yaml": """
defaults: [minimal]
asked: {_target_: parallel_runs.Asked, signal_at: null, stop_at: null}
""",
    "model/forgetful.yaml": "_target_: parallel_runs.Forgetful\n",
}


class Asked(Callback):
    """Is asked to end the run, in the second process only."""

    def __init__(self, *, signal_at: int | None = None, stop_at: int | None = None):
        self.signal_at, self.stop_at = signal_at, stop_at

    def on_step(self, state: State) -> None:
        if dist.rank() == 1 and state.step == self.signal_at:
            os.kill(os.getpid(), signal.SIGINT)
        if dist.rank() == 1 and state.step == self.stop_at:
            state.stop = "the second process is tired"


class Forgetful(nn.Module):
    """A linear model with a layer that it does not use."""

    def __init__(self, spec: Spec, outputs: int):
        super().__init__()
        self.used, self.forgotten = nn.Linear(spec.input_shape[0], outputs), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


def write_files() -> None:
    """What the runs read, in the working folder."""
    small_sets.own(Path())
    for name, text in CONFIGS.items():
        path = Path("conf", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def train(folder: str, name: str) -> None:
    options = {**QUICK, **SLOW, **ENDS, **TIMED}[name]
    dlkit.train(["--config-dir", "conf", *SHORT, *options, f"run_dir={folder}/{name}"])


def mistake(name: str) -> None:
    """Writes what each process says, and with what code it ends."""
    with redirect_stderr(io.StringIO()) as said:
        try:
            main(MISTAKES[name])
        except SystemExit as end:
            Path(f"said-{name}-{dist.rank()}").write_text(f"{end.code} {said.getvalue()}")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        if name in MISTAKES:
            mistake(name)
            continue
        train("two", name)
        if name == "interrupted":
            if dist.rank() == 0:
                shutil.copytree("two/interrupted", "two/left")
            dlkit.train(["--trust", "resume=two/interrupted"])
    Path(f"done-{dist.rank()}").touch()
