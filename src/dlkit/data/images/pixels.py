"""Image files of any kind, as uint8 tensors of one size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")


def kinds() -> set[str]:
    """The extensions of the formats that Pillow reads, such as ".png"."""
    from PIL import Image

    return {extension for extension, name in Image.registered_extensions().items() if name in Image.OPEN}


def is_grey(path: Path) -> bool:
    """Whether the header says that the image has no colours; a palette counts as colours. Raises ValueError."""
    with _opened(path) as image:
        return image.mode in GREY


def read_image(path: Path, *, size: int | tuple[int, int], grey: bool) -> Tensor:
    """The image as uint8 (C, size, size), or (C, *size), C = 1 where `grey`, else 3.

    Turned as its EXIF orientation says; what is transparent shows white; 16 bits become 8 (0 … 65,535 to 0 … 255); of
    several pictures in a file the first. Then the short side is resized to `size`, bilinear over all pixels that a new
    one covers, and the middle of the long side kept. Raises ValueError, `path: why`, where it cannot be read.
    """
    height, width = (size, size) if isinstance(size, int) else size
    with _opened(path) as image:
        image.draft(None, (2 * width, 2 * height))  # a large JPEG is decoded at 1/2, 1/4 or 1/8: up to 8 times as fast
        return fitted(image, height, width, grey)


def fitted(image: Image, height: int, width: int, grey: bool) -> Tensor:
    """An opened image as `read_image` gives it, uint8 (C, height, width)."""
    from PIL import ImageOps
    from PIL.Image import Resampling

    plain = _plain(ImageOps.exif_transpose(image), grey)
    small = ImageOps.fit(plain, (width, height), Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).reshape(height, width, -1).permute(2, 0, 1).contiguous()


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """The image, its header read. Raises ValueError where that, or what is done with it, fails."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            yield image
    except UnidentifiedImageError as error:
        raise ValueError(f"{path}: not an image that Pillow reads, whatever its name says") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from error
    except Unreadable as error:
        raise ValueError(f"{path}: {error}") from error
    except OSError as error:
        why = f"cannot be read: {error.strerror}" if error.errno else "the image is damaged or cut off"
        raise ValueError(f"{path}: {why}") from error
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes them run into
        raise ValueError(f"{path}: the image is damaged or cut off") from error


class Unreadable(Exception):
    """An image that is whole, but of a kind that is not read."""


def _plain(image: Image, grey: bool) -> Image:
    """The image in mode L or RGB."""
    from PIL import Image as pillow

    if image.mode == "F":
        raise Unreadable("pixels are floating-point numbers (mode F); save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        image = pillow.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = pillow.alpha_composite(pillow.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    """0 … 65,535 to 0 … 255, rounded."""
    if pixels.min() < 0 or pixels.max() > 65_535:
        raise Unreadable("pixels are beyond 0 … 65,535; save it with 8 or 16 bits")
    return ((pixels.astype(np.int64) * 255 + 32_767) // 65_535).astype(np.uint8)
