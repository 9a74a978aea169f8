"""Seeded random streams: the same keys give the same numbers, whatever was drawn elsewhere."""

from __future__ import annotations

import hashlib

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
