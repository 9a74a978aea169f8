"""Pictures and sounds: a file each."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dlkit.data.audio.folder import EXTENSIONS
from dlkit.data.audio.waves import Waves, of_length, read_wave
from dlkit.data.images.pixels import fitted, kinds, read_image
from dlkit.data.inputs.found import Example, files, why
from dlkit.data.raw import Ragged
from dlkit.data.reading.attempts import attempts
from dlkit.data.scale import PIXELS, Scale
from dlkit.types import Spec

if TYPE_CHECKING:
    from PIL.Image import Image

CHUNK, THREADS = 64, 4  # files read ahead, and how many at once
OF_FILES = "dlkit.data.images.folder.image_folder"  # the source that has pixels from files as they are
CHANNELS = (1, 3, 4)  # of an array: grey, colours, colours and how opaque
DARK = 64  # the brightest value of a scale of its own: no set of pictures in 0 … 255 is so dark all over


class Pictures:
    """Pictures of any format and size, read as in training (`pixels.read_image`).

    A model that was trained on a scale of its own (`data=digits` has 0 … 16, other sources 0 … 1) gets 0 … 255 of a
    file stretched to it; that scale ends where the brightest training value was. Pixels below 0 were normalised by the
    source itself, and how is not known, so files are refused. Arrays of exactly the training shape, (C, H, W) or one
    channel's (H, W), are raw examples as the run's source gives them and stay as they are.
    """

    def __init__(self, spec: Spec, encoder: Scale, source: Mapping[str, Any]):
        self.shape = spec.input_shape
        low, high = encoder.range
        self.normalised = low < 0
        own = source.get("_target_") != OF_FILES and not DARK < high <= PIXELS[1]
        self.white = high if own else PIXELS[1]
        self.note = f"the model was trained on pixels 0 … {high:g}: 0 … 255 is stretched to that" if own else ""

    def stream(self, words: Sequence[str]) -> Iterator[Example]:
        """A picture a file; of "-", of every path on standard input. Raises ValueError where files do not suit."""
        self._check()
        return _read(words, kinds(), self._from_file)

    def several(self, value: Any) -> list[Any] | None:
        """The elements of a list, or of an array (N, C, H, W) or (N, H, W, C)."""
        return _elements(value, 4)

    def raw(self, value: Any) -> Tensor:
        """(C, H, W) from a path, a PIL image, or an array: uint8 of any size, or raw as in training."""
        from PIL import Image

        if isinstance(value, str | os.PathLike):
            return self._from_file(Path(value))
        if isinstance(value, Image.Image):
            return self._fitted(value)
        pixels = _tensor(value)
        if tuple(pixels.shape) in (self.shape, self.shape[1:] if self.shape[0] == 1 else None):
            return pixels.reshape(self.shape)
        if pixels.dim() == 3 and pixels.shape[0] in CHANNELS:
            pixels = pixels.permute(1, 2, 0)
        pixels = pixels.unsqueeze(2) if pixels.dim() == 2 else pixels
        if pixels.dtype != torch.uint8 or pixels.dim() != 3 or pixels.shape[2] not in CHANNELS or not pixels.numel():
            raise ValueError(f"an array {tuple(pixels.shape)} of {pixels.dtype}: {self._wanted()}")
        return self._fitted(Image.fromarray(pixels.squeeze(2).contiguous().numpy()))

    def batch(self, raws: Sequence[Tensor]) -> Tensor:
        """float32 (B, C, H, W)."""
        return torch.stack([one.float() for one in raws])

    def _fitted(self, image: Image) -> Tensor:
        _, height, width = self.shape
        self._check()
        return self._stretched(fitted(image, height, width, self.shape[0] == 1))

    def _from_file(self, path: Path) -> Tensor:
        _, height, width = self.shape
        self._check()
        return self._stretched(read_image(path, size=(height, width), grey=self.shape[0] == 1))

    def _stretched(self, pixels: Tensor) -> Tensor:
        return pixels if self.white == PIXELS[1] else pixels * (self.white / PIXELS[1])

    def _check(self) -> None:
        if self.normalised:
            raise ValueError("the model was trained on pixels below 0: give it raw ones from Python, as its source did")
        if self.shape[0] not in (1, 3):
            raise ValueError(f"the model takes images of {self.shape[0]} channels; pictures have 1 or 3")

    def _wanted(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"expected uint8 (H, W), (H, W, C) or (C, H, W) of any size, or raw as in training, {shape}"


class Sounds:
    """Recordings of any rate and length, read as in training (`waves.read_wave`)."""

    note = ""

    def __init__(self, spec: Spec, encoder: Waves):
        assert spec.sample_rate is not None, "recordings have a rate"
        self.rate, self.fixed = spec.sample_rate, encoder.samples is not None
        self.seconds = None if encoder.samples is None else encoder.samples / self.rate

    def stream(self, words: Sequence[str]) -> Iterator[Example]:
        """A recording a file; of "-", of every path on standard input."""
        return _read(words, EXTENSIONS, self._from_file)

    def several(self, value: Any) -> list[Any] | None:
        """The elements of a list, of an array (N, T) or of Ragged."""
        if isinstance(value, Ragged):
            return list(value.values.split(value.lengths.tolist()))
        return _elements(value, 2)

    def raw(self, value: Any) -> Tensor:
        """float32 (T,) from a path, or from floats (T,) at the model's rate."""
        if isinstance(value, str | os.PathLike):
            return self._from_file(Path(value))
        wave = _tensor(value)
        if wave.dim() != 1 or not wave.is_floating_point() or not len(wave) or not wave.isfinite().all():
            raise ValueError(
                f"an array {tuple(wave.shape)} of {wave.dtype}: expected samples (T,) in [-1, 1], at {self.rate} Hz"
            )
        return of_length(wave.float(), self.rate, self.seconds)

    def batch(self, raws: Sequence[Tensor]) -> Tensor | Ragged:
        """(B, T) where recordings have one length, else Ragged."""
        return torch.stack(list(raws)) if self.fixed else Ragged.of(raws)

    def _from_file(self, path: Path) -> Tensor:
        return read_wave(path, self.rate, self.seconds)


def _elements(value: Any, dimensions: int) -> list[Any] | None:
    """Those of a list or tuple, or of an array of so many dimensions; None: it is one input."""
    if isinstance(value, list | tuple):
        return list(value)
    return list(value) if getattr(value, "ndim", 0) == dimensions else None


def _read(words: Sequence[str], endings: Collection[str], read: Callable[[Path], Tensor]) -> Iterator[Example]:
    """What `read` makes of the files, `CHUNK` of them ahead."""

    def checked(path: Path) -> Tensor:
        if path.is_dir():
            raise ValueError(f"{path}: {why(IsADirectoryError())}")
        if not path.exists():
            raise ValueError(f"{path}: {why(FileNotFoundError())}")
        return read(path)

    names = files(words, endings, listed=True)
    while chunk := list(islice(names, CHUNK)):
        results = attempts(checked, [Path(name) for name in chunk], THREADS, "")
        yield from (Example(name, *result) for name, result in zip(chunk, results, strict=True))


def _tensor(value: Any) -> Tensor:
    """On the CPU, from a tensor or what numpy takes."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    try:
        return torch.from_numpy(np.array(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"a {type(value).__name__}: expected a path or an array") from error
