"""Seeded random streams: the same keys give the same numbers, whatever was drawn elsewhere."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np
import torch

# First key of a stream, so that no two uses of one seed share their numbers.
SPLIT, ORDER, AUGMENT, SYNTHETIC, INIT, TRAIN = range(6)


def derive(*keys: int) -> int:
    """A 63-bit seed from integers, by BLAKE2b. (Python's own `hash` differs between processes for strings.)"""
    digest = hashlib.blake2b(repr(keys).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def stream(*keys: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` seeded by `keys`, e.g. `stream(ORDER, seed, epoch)`."""
    return torch.Generator(device).manual_seed(derive(*keys))


def seed_all(*keys: int) -> None:
    """Seeds what draws without a stream of its own: torch (weights, dropout), and numpy and random for user code."""
    seed = derive(*keys)
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)  # all that there is, in a hundredth of the time
    np.random.seed(seed % 2**32)
    random.seed(seed)


def global_state() -> dict[str, Any]:
    """The state of all that `seed_all` seeds, as tensors and plain data."""
    name, numbers, *rest = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": cuda,
        "numpy": [name, torch.from_numpy(np.asarray(numbers).astype(np.int64)), *rest],
        "random": [version, list(internal), gauss],
    }


def set_global_state(state: dict[str, Any]) -> None:
    """Continues where `global_state` was taken."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        there = state["cuda"][: torch.cuda.device_count()]  # the run may have begun where there were more
        torch.cuda.set_rng_state_all([one.cpu() for one in there])
    name, numbers, *rest = state["numpy"]
    np.random.set_state((name, numbers.cpu().numpy().astype(np.uint32), *rest))
    version, internal, gauss = state["random"]
    random.setstate((version, tuple(internal), gauss))
