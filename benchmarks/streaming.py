"""Sets that are streamed from files, beside torch's DataLoader as it comes. `python -m benchmarks.streaming [--quick]`

Made files in a temporary folder: JPEGs of 160 to 256 pixels a side, decoded to 64 x 64; recordings of 1 s at 16 kHz.

- Rate: examples per second that come out of `StreamedData.train` and of a shuffling DataLoader with persistent workers,
  over the same files with the same decoding, number of workers and normalisation; rounds in turn, medians.
- Kept decoded: the second epoch beside the first, which reads the files and writes what it decodes; medians.
- 1, 2 and 4 times the data (hard links), each in a process of its own that takes equally many batches: the rate from
  files, that of a second epoch, and the peak memory of the process: its own pages and those shared with workers,
  without mapped files. There glibc gives freed memory back at once, so that what is measured is in use.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers.report import markdown
from dlkit.data.audio.folder import audio_folder
from dlkit.data.images.folder import image_folder
from dlkit.data.prepare import load
from dlkit.data.reading import workers
from dlkit.data.streamed import StreamedData

BATCH, RATE = 64, 16000
WORKERS = min(2, os.cpu_count() or 1)
OPTIONS: dict[str, Any] = {"batch_size": BATCH, "val_fraction": 0, "test_fraction": 0, "split_seed": 0}


def make_images(root: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for i in range(count):
        height, width = (int(side) for side in rng.integers(160, 257, 2))
        small = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = np.clip(smooth + rng.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(_place(root, i, "jpg"), quality=88)


def make_recordings(root: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for i in range(count):
        soundfile.write(_place(root, i, "wav"), 0.1 * rng.standard_normal(RATE), RATE)


def _place(root: Path, number: int, kind: str) -> Path:
    folder = root / f"class{number % 2}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{number:06}.{kind}"


def streamed(root: Path, cache: Path | None) -> StreamedData:
    """The data of this folder, kept decoded in `cache` if given."""
    workers.SAMPLE = BATCH  # else a set as small as these is read whole before its first epoch, to fit the encoder
    limits = {"memory_limit": 1e-9, "workers": WORKERS, "cache": str(cache or root.parent / "headers")}
    limits["cache_limit"] = 100 if cache else 0
    if root.name.startswith("images"):
        examples = image_folder(root=str(root), size=64, **limits)
    else:
        examples = audio_folder(root=str(root), sample_rate=RATE, seconds=1.0, **limits)
    data = load(examples, 0, "cpu", **OPTIONS)
    assert isinstance(data, StreamedData)
    return data


class Bare(Dataset):
    """What a tutorial writes: one example an index."""

    def __init__(self, data: StreamedData):
        files = data._splits["train"][0]
        self.paths, self.read, self.y = files.paths, files.read, data.targets("train")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.read(self.paths[index]), self.y[index]


def bare(data: StreamedData) -> Iterator[int]:
    """Sizes of the batches of a bare loader, encoded, without end."""
    loader = DataLoader(
        Bare(data), BATCH, shuffle=True, drop_last=True, num_workers=WORKERS, persistent_workers=WORKERS > 0
    )
    while True:
        for x, y in loader:
            data.encoder.encode(x)
            yield len(y)


def ours(data: StreamedData) -> Iterator[int]:
    for batch in data.train(0):
        yield len(batch.y)


def rate(sizes: Iterator[int], steps: int) -> float:
    """Examples per second of so many batches."""
    start = time.perf_counter()
    return sum(islice(sizes, steps)) / (time.perf_counter() - start)


def beside_bare(root: Path, rounds: int, steps: int) -> tuple[list[float], list[float]]:
    """Rates of dlkit and of the bare loader, round by round, in turn."""
    data = streamed(root, None)
    both = {"dlkit": ours(data), "bare": bare(data)}
    for sizes in both.values():
        rate(sizes, 2 + 2 * WORKERS)  # workers start, and what they read ahead is used up
    found: dict[str, list[float]] = {name: [] for name in both}
    for number in range(rounds):
        for name in sorted(both, reverse=number % 2 == 1):
            found[name].append(rate(both[name], steps))
    return found["dlkit"], found["bare"]


def epochs(root: Path, steps: int = 0) -> tuple[float, float]:
    """Rates of the first epoch, with nothing kept yet, and of the second; goes on until `steps` batches are taken."""
    with tempfile.TemporaryDirectory(dir=root.parent) as cache:
        data = streamed(root, Path(cache))
        sizes = ours(data)
        first, second = (rate(sizes, data.steps_per_epoch) for _ in range(2))
        rate(sizes, max(0, steps - 2 * data.steps_per_epoch))
        del sizes, data
        gc.collect()
    return first, second


def own_memory() -> float:
    """MB of this process, without pages of mapped files; NaN where the system does not say."""
    try:
        lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        return sum(int(lines[name].split()[0]) for name in ("RssAnon", "RssShmem")) / 1e3
    except (OSError, KeyError):
        return float("nan")


def peak(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and the most memory that was in use meanwhile."""
    seen, done = [own_memory()], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            seen.append(own_memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        return work(), max(seen)
    finally:
        done.set()
        thread.join()


def child(root: Path, steps: int) -> None:
    """Prints the rate from files, that of a second epoch, and the peak memory of each over so many batches."""
    plain, plain_peak = peak(lambda: rate(ours(streamed(root, None)), steps))
    (_, second), kept_peak = peak(lambda: epochs(root, steps))
    print(json.dumps([plain, second, plain_peak, kept_peak]))


def grown(root: Path, times: int, steps: int) -> list[float]:
    """The figures of `child` for so many times the data."""
    larger = root.with_name(f"{root.name}-{times}")
    for path in root.rglob("*.jpg"):
        for copy in range(times):
            place = larger / path.parent.name / f"{copy}-{path.name}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.hardlink_to(path)
    command = [sys.executable, "-m", "benchmarks.streaming", "--child", str(larger), str(steps)]
    where = {"cwd": Path(__file__).parent.parent, "env": os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}}
    done = subprocess.run(command, check=True, capture_output=True, text=True, **where)
    return json.loads(done.stdout.splitlines()[-1])


def measure(quick: bool = False) -> dict[str, Any]:
    """Rows and goals of all three comparisons."""
    count, rounds, steps = (640, 3, 8) if quick else (1600, 7, 16)
    rows: list[list[str]] = []
    goals: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        images, recordings = place / "images", place / "recordings"
        make_images(images, count)
        make_recordings(recordings, count)
        for what, root in (("JPEGs", images), ("WAVs", recordings)):
            dlkit, loader = beside_bare(root, rounds, steps)
            ratio = statistics.median(dlkit) / statistics.median(loader)
            rows.append(
                [f"{what}, {WORKERS} workers, beside a bare DataLoader", *map(_median, (dlkit, loader)), f"{ratio:.2f}"]
            )
            goals.append([f"{what}: streaming rate / bare DataLoader", ratio, 0.95, ">="])
        for what, root in (("JPEGs", images), ("WAVs", recordings)):
            firsts, seconds = zip(*(epochs(root) for _ in range(2 if quick else 3)), strict=True)
            ratio = statistics.median(seconds) / statistics.median(firsts)
            rows.append(
                [
                    f"{what}, kept decoded: second epoch beside the first",
                    *map(_median, (seconds, firsts)),
                    f"{ratio:.1f}",
                ]
            )
            if what == "JPEGs":
                goals.append(["JPEGs kept decoded: second epoch / first", ratio, 5, ">="])
        figures = {times: grown(images, times, 8 * count // BATCH) for times in (1, 2, 4)}
    for times, (plain, second, plain_peak, kept_peak) in figures.items():
        rows.append(
            [
                f"{times * count:,} JPEGs: from files, and kept decoded",
                f"{plain:,.0f}/s, {plain_peak:.0f} MB",
                f"{second:,.0f}/s, {kept_peak:.0f} MB",
                f"{second / plain:.1f}",
            ]
        )
    for column, what in ((2, "from files"), (3, "kept decoded")):
        ratio = figures[4][column] / figures[1][column]
        if ratio == ratio:
            goals.append([f"peak memory at 4 x the data / at 1 x, {what}", ratio, 1.05, "<="])
    return {
        "title": "Streaming from files",
        "head": ["", "examples/s", "beside", "ratio"],
        "rows": rows,
        "goals": goals,
        "text": __doc__.split("\n\n", 1)[1].strip(),
    }


def _median(rates: Any) -> str:
    return f"{statistics.median(rates):,.0f}"


def main() -> None:
    """Prints the table and the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer files and rounds")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.child:
        child(Path(flags.child[0]), int(flags.child[1]))
        return
    print(markdown(measure(flags.quick)))


if __name__ == "__main__":
    main()
