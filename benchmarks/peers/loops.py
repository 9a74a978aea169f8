"""Contestants in plain PyTorch, and dlkit. Each function makes a Round: so many steps, to microseconds a step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.peers.contest import Round
from benchmarks.peers.material import (
    BATCH,
    POOL,
    Batches,
    loss,
    mnist_folder,
    network,
    sentences,
    training,
    write_texts,
)

DLKIT = {
    "logreg": "data=mnist model=logreg",
    "MLP": "data=mnist model=mlp",
    "CNN": "data=mnist model=cnn",
    "LSTM": "data=text_csv data.text=text data.label=label data.test_fraction=0 "
    "model=lstm_text model.bidirectional=false model.dropout=0",
}
EPOCHS = 20  # of a run, as dlkit has it by default


def torchvision_loader() -> DataLoader:
    """MNIST as every tutorial reads it."""
    from torchvision import datasets, transforms

    place = Path(tempfile.mkdtemp())
    links = place / "MNIST" / "raw"  # torchvision wants unpacked files: here it may unpack
    links.mkdir(parents=True)
    for file in mnist_folder().iterdir():
        (links / file.name).symlink_to(file.resolve())
    data = datasets.MNIST(str(place), train=True, download=True, transform=transforms.ToTensor())
    return DataLoader(data, batch_size=BATCH, shuffle=True)


def endless(batches: Iterable[Any]) -> Iterator[Any]:
    """One epoch after another."""
    while True:
        yield from batches


def tutorial(model: str) -> Round:
    """The loop that every tutorial shows: a transform a sample, a shuffling DataLoader, Adam."""
    return loop(model, torchvision_loader(), fused=False)


def plain(model: str) -> Round:
    """Tensors in memory and fused Adam; texts padded to the longest of all."""
    return loop(model, Batches(*training(model)), fused=True)


def loop(model: str, batches: Iterable[Any], fused: bool) -> Round:
    """Training with Adam as anybody writes it."""
    net = network(model)
    optimizer = torch.optim.Adam(net.parameters(), fused=fused)

    def work(steps: int) -> float:
        start = perf_counter()
        for _, (x, y) in zip(range(steps), endless(batches), strict=False):
            optimizer.zero_grad()
            loss(net(x), y).backward()
            optimizer.step()
        return 1e6 * (perf_counter() - start) / steps

    return work


def limit(model: str, bf16: bool = False) -> Round:
    """All that is known to help, without a line for anything else: an allocator that keeps memory, one permutation an
    epoch, one gather a batch, fused Adam, channels_last, batches of similar length cut to their longest."""
    keep_freed_memory()
    net, (x, y) = network(model), training(model)
    if model == "CNN":
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    batches = by_length(x, y) if model == "LSTM" else gathered(x, y)

    def work(steps: int) -> float:
        start = perf_counter()
        for _ in range(steps):
            x_batch, y_batch = next(batches)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
                out = net(x_batch)
            loss(out.float(), y_batch).backward()
            optimizer.step()
        return 1e6 * (perf_counter() - start) / steps

    return work


def keep_freed_memory() -> None:
    """glibc keeps what is freed. Written anew, so that dlkit's own way is not measured against itself."""
    import ctypes

    libc = ctypes.CDLL(None)
    for option, value in ((-3, 1 << 30), (-1, 2**31 - 1), (-4, 0)):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_MMAP_MAX
        libc.mallopt(option, value)


def gathered(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches. Images (N, C, H, W) of any memory format are gathered as whole rows."""
    rows = x.permute(0, 2, 3, 1) if x.stride(1) == 1 else x
    while True:
        for chosen in torch.randperm(len(y)).split(BATCH)[: len(y) // BATCH]:
            batch = rows.index_select(0, chosen)
            yield (batch.permute(0, 3, 1, 2) if rows is not x else batch), y.index_select(0, chosen)


def by_length(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of texts of similar length, each cut to its longest, in random order."""
    lengths = (x != 0).sum(1)
    while True:
        pools = [pool[lengths[pool].argsort()] for pool in torch.randperm(len(y)).split(POOL * BATCH)]
        batches = torch.cat(pools)[: len(y) // BATCH * BATCH].view(-1, BATCH)
        longest = lengths[batches].amax(1).tolist()
        for number in torch.randperm(len(batches)).tolist():
            chosen = batches[number]
            yield x[:, : longest[number]].index_select(0, chosen), y.index_select(0, chosen)


def words(model: str, bf16: bool, folder: Path, batch_size: int = BATCH) -> list[str]:
    """What one types behind `dlkit train`; texts are written into the folder."""
    found = [
        *DLKIT[model].split(),
        f"data.batch_size={batch_size}",
        "optim=adam",
        f"trainer.dtype={'bfloat16' if bf16 else 'float32'}",
    ]
    if model == "LSTM":
        write_texts(sentences(), folder / "train.csv")
        write_texts(sentences(BATCH, seed=1), folder / "val.csv")
        found += [f"data.path={folder}/train.csv", f"data.val_path={folder}/val.csv"]
    return found


def experiment(options: list[str], folder: Path) -> Any:
    """What `dlkit train` builds of these options, ready for `fit`, in a folder of its own."""
    from hydra import compose, initialize_config_dir

    from dlkit.build import build
    from dlkit.settings import config_folder

    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        run = build(compose("train", options), folder / "run")
    run.state.folder.mkdir()
    return run


def dlkit(model: str, bf16: bool = False, more: tuple[str, ...] = (), batch_size: int = BATCH) -> Round:
    """dlkit's trainer with its default callbacks, from plain config, logs and checkpoints written.

    A round is a call of `fit` that goes on where the last one stopped, to its evaluation and its checkpoint. Counted is
    the time of steps and logs, as the trainer tells it, and a share of the checkpoint's as in a run of 20 epochs, which
    writes one at its end and one every `trainer.save_every` seconds; the evaluation is not.
    """
    from dlkit.trainer import fit

    folder = Path(tempfile.mkdtemp())
    run = experiment([*words(model, bf16, folder, batch_size), *more], folder)
    state, saving = run.state, Saving(run.callbacks)

    def work(steps: int) -> float:
        seconds, saved = state.seconds, saving.seconds
        state.total_steps = state.step + steps
        fit(
            *(state, run.engine, run.data, run.schedule, saving.around),
            eval_every=run.eval_every,
            log_every=run.trainer.log_every,
            save_every=run.trainer.save_every,
        )
        step = (state.seconds - seconds) / steps
        between = min(run.trainer.save_every, EPOCHS * state.steps_per_epoch * step)
        return 1e6 * (step + (saving.seconds - saved) * step / between)

    return work


class Saving:
    """How long the checkpoints of callbacks take, which the trainer's clock leaves out."""

    def __init__(self, callbacks: list) -> None:
        from dlkit.callbacks.base import Callback

        saving, self.seconds = self, 0.0

        class Begin(Callback):
            def on_checkpoint(self, state: object) -> None:
                saving.seconds -= perf_counter()

        class End(Callback):
            def on_checkpoint(self, state: object) -> None:
                saving.seconds += perf_counter()

        self.around = [Begin(), *callbacks, End()]
