"""Known sets of speech: spoken digits, commands of one word, yes and no."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dlkit.data.audio.recordings import read_recordings
from dlkit.data.audio.waves import of_length
from dlkit.data.audio.words import cut
from dlkit.data.examples import Examples
from dlkit.data.raw import Ragged, indices
from dlkit.data.reading.folders import below
from dlkit.data.reading.groups import numbered
from dlkit.data.reading.problems import PUBLISHED, Problems
from dlkit.types import NonNegative, NonNegativeInt, Positive, PositiveInt

FSDD = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.10.tar.gz"
FSDD_FOLDERS = ("fsdd", "free-spoken-digit-dataset-1.0.10", "free-spoken-digit-dataset")
COMMANDS = Path("SpeechCommands") / "speech_commands_v0.02"
LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}
WORDS = 8  # in a recording of YesNo


def fsdd(
    *,
    root: str,
    split: Literal["official", "speakers"] = "official",
    sample_rate: PositiveInt = 8000,
    seconds: Positive | None = None,
    cache: str | None = None,
) -> Examples:
    """The Free Spoken Digit Dataset: 3,000 English digits by 6 speakers at 8 kHz, 0.1 to 2.3 s.

    From root/fsdd/recordings, or the publisher's archive unpacked in root. Files are `{digit}_{speaker}_{index}.wav`.
    split: `official`, index 0 to 4 are the test split; `speakers`, no test split of its own, and a speaker's recordings
    are in one split only: with data.folds=6, fold k is tested on the k-th speaker.
    """
    place = Path(root).expanduser()
    folder = _recordings_of_fsdd(place)
    problems = Problems(remedy=PUBLISHED)
    found = []
    for path in sorted(folder.glob("*.wav")):
        name = re.fullmatch(r"([0-9])_([^_]+)_([0-9]+)", path.stem)
        if name is None:
            problems.add(str(path), "expected the name {digit}_{speaker}_{index}.wav")
        else:
            found.append((path, int(name[1]), name[2], int(name[3])))
    if not found:
        raise ValueError(f"data.root: no recordings in {folder}; get them from {FSDD}")
    paths = [one[0] for one in found]
    x, _, _ = read_recordings(paths, problems, sample_rate=sample_rate, seconds=seconds, cache=cache)
    problems.settle()
    y = torch.tensor([one[1] for one in found])
    digits = tuple("0123456789")
    if split == "speakers":
        groups = numbered([one[2] for one in found])
        names = {"train": below(place, paths)}
        return Examples("waveform", "classification", {"train": (x, y)}, digits, groups, sample_rate, names=names)
    test = torch.tensor([one[3] < 5 for one in found])
    rows = {"train": ~test, "test": test}
    splits = {name: (x[chosen], y[chosen]) for name, chosen in rows.items()}
    names = _names(place, paths, rows)
    return Examples("waveform", "classification", splits, digits, sample_rate=sample_rate, names=names)


def _names(root: Path, paths: list[Path], rows: dict[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """The path below `root` of the recordings in each split's mask (N,)."""
    names = below(root, paths)
    return {split: tuple(names[i] for i in indices(chosen)) for split, chosen in rows.items()}


def _recordings_of_fsdd(root: Path) -> Path:
    places = [root / name / "recordings" for name in FSDD_FOLDERS]
    for place in places:
        if place.is_dir():
            return place
    raise ValueError(f"data.root: {places[0]} not found; unpack {FSDD} in {root}, or set data.root to where it is")


def speech_commands(
    *,
    root: str,
    download: bool = False,
    words: list[str] | None = None,
    sample_rate: PositiveInt = 16000,
    seconds: Positive | None = 1.0,
    memory_limit: Positive = 8.0,
    workers: NonNegativeInt = 4,
    cache: str | None = None,
    cache_limit: NonNegative = 10.0,
) -> Examples:
    """Speech Commands v0.02 (Warden 2018): 35 words in 105,829 recordings of up to 1 s at 16 kHz.

    From root/SpeechCommands/speech_commands_v0.02, a folder a word; the publisher's lists validation_list.txt and
    testing_list.txt say which are whose, so that no speaker is in two splits. `words`: only these.
    """
    place = Path(root).expanduser()
    folder = place / COMMANDS
    if not folder.is_dir():
        _fetch(folder, download, lambda data: data.SPEECHCOMMANDS(place, download=True))
    present = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))
    words = present if words is None else sorted(set(words))
    if missing := sorted(set(words) - set(present)):
        raise ValueError(f"data.words: no {', '.join(missing)} in {folder}; there are {', '.join(present)}")
    paths = [path for word in words for path in sorted((folder / word).glob("*.wav"))]
    if not paths:
        raise ValueError(f"data.root: no recordings in {folder}")
    problems = Problems(remedy=PUBLISHED)
    limits: dict[str, Any] = {"memory_limit": memory_limit, "cache_limit": cache_limit, "workers": workers}
    x, _, notes = read_recordings(paths, problems, sample_rate=sample_rate, seconds=seconds, cache=cache, **limits)
    problems.settle()
    numbers = {word: number for number, word in enumerate(words)}
    y = torch.tensor([numbers[path.parent.name] for path in paths])
    rows = _by_list(folder, paths)
    splits = {split: (x[chosen], y[chosen]) for split, chosen in rows.items()}
    names = _names(place, paths, rows)
    return Examples("waveform", "classification", splits, tuple(words), None, sample_rate, notes, names=names)


def _by_list(folder: Path, paths: list[Path]) -> dict[str, Tensor]:
    """The masks (N,) of the splits that are not empty, by the publisher's lists; what is in neither is for training."""
    names = [f"{path.parent.name}/{path.name}" for path in paths]
    chosen = {}
    for split, name in LISTS.items():
        file = folder / name
        if not file.is_file():
            raise ValueError(f"{file} not found: it says which recordings are for which split; fetch the set anew")
        listed = set(file.read_text(encoding="utf-8").split())
        chosen[split] = torch.tensor([name in listed for name in names])
    chosen = {"train": ~(chosen["val"] | chosen["test"]), **chosen}
    return {split: rows for split, rows in chosen.items() if rows.any()}


def yesno(
    *,
    root: str,
    download: bool = False,
    sample_rate: PositiveInt = 8000,
    seconds: Positive | None = None,
    cache: str | None = None,
) -> Examples:
    """YesNo (OpenSLR 1): one speaker says yes or no in Hebrew, 480 words in 60 recordings at 8 kHz.

    From root/waves_yesno, where `1_0_1_1_0_0_1_1.wav` holds eight words, 1 for yes. Each recording is cut into its
    words where it is silent (audio/words.py); the words of one recording are in one split only.
    """
    place = Path(root).expanduser()
    folder = place / "waves_yesno"
    if not folder.is_dir():
        _fetch(folder, download, lambda data: data.YESNO(place, download=True))
    paths = sorted(folder.glob("*.wav"))
    problems = Problems(remedy=PUBLISHED)
    for path in [path for path in paths if not re.fullmatch(rf"[01](_[01]){{{WORDS - 1}}}", path.stem)]:
        problems.add(str(path), f"expected {WORDS} times 0 or 1 for its name, as in 0_1_0_1_0_0_1_1.wav")
        paths.remove(path)
    if not paths:
        raise ValueError(f"data.root: no recordings in {folder}")
    x, bad, _ = read_recordings(paths, problems, sample_rate=sample_rate, seconds=None, cache=cache)
    assert isinstance(x, Ragged)
    waves, labels, groups = [], [], []
    for number, (path, wave) in enumerate(zip(paths, x.values.split(x.lengths.tolist()), strict=True)):
        parts = cut(wave, sample_rate, WORDS) if path not in bad else ()
        if parts is None:
            problems.add(str(path), f"not found in it: {WORDS} words with silence between them")
            continue
        waves += [of_length(part, sample_rate, seconds) for part in parts]
        labels += [int(label) for label in path.stem.split("_")][: len(parts)]
        groups += [number] * len(parts)
    problems.settle()
    words = Ragged.of(waves) if seconds is None else torch.stack(waves)
    train = {"train": (words, torch.tensor(labels))}
    return Examples("waveform", "classification", train, ("no", "yes"), torch.tensor(groups), sample_rate)


def _fetch(folder: Path, download: bool, make: Callable[[Any], Any]) -> None:
    """Has torchaudio fetch, check and unpack a set; its errors and the network's become one line."""
    if not download:
        raise ValueError(f"data.root: {folder} not found; set it to where it is, or data.download=true")
    import torchaudio.datasets  # here: only those who fetch need it

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        make(torchaudio.datasets)
    except (OSError, RuntimeError, HTTPException) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"data.root: {folder} could not be fetched: {cause}") from error
