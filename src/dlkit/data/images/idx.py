"""Reader of the IDX format, the one of MNIST: big-endian header, then bytes (http://yann.lecun.com/exdb/mnist/)."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlkit.data.reading.download import REMEDY

UNSIGNED_BYTE = 8  # the header's code for the type of the values


def find(folder: Path, name: str) -> Path | None:
    """`folder/name`, else `folder/name.gz`, else None."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def read(path: Path, dims: int) -> Tensor:
    """The uint8 tensor of an IDX file with `dims` axes, plain or compressed; a .gz is unpacked in memory only.

    Header: two zero bytes, the type's code, the number of axes, then each axis' length in four bytes.
    Raises ValueError where the file is damaged: its header, its length or, compressed, its CRC.
    """
    content = _content(path)
    magic = bytes([0, 0, UNSIGNED_BYTE, dims])
    if content[:4] != magic:
        raise ValueError(f"{path} is damaged: it starts with {content[:4].hex()}, expected {magic.hex()}; {REMEDY}")
    start = 4 + 4 * dims
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    if len(content) != start + math.prod(shape):
        expected = f"{start + math.prod(shape):,} for shape {tuple(shape)}"
        raise ValueError(f"{path} is damaged: {len(content):,} bytes, expected {expected}; {REMEDY}")
    values = np.frombuffer(content, np.uint8, offset=start)
    return torch.from_numpy(values.copy()).view(shape)  # a copy: torch wants memory that may be written


def _content(path: Path) -> bytes:
    """Bytes of a file, uncompressed."""
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)  # checks the CRC and the length
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged: expected gzip, {error}; {REMEDY}") from error
