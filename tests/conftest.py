"""What tests share: a tiny data set, a tiny model, and the folder of real data where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from dlkit.types import Spec

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def tabular() -> Spec:
    return Spec("tabular", (4,), 3, "classification", classes=("a", "b", "c"), class_counts=(8, 8, 8))


@pytest.fixture
def image() -> Spec:
    return Spec("image", (1, 8, 8), 3, "classification", classes=("a", "b", "c"), class_counts=(8, 8, 8))


@pytest.fixture
def regression() -> Spec:
    return Spec("tabular", (4,), 2, "regression")


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; the test is skipped where there is none."""
    for place in (os.environ.get("DLKIT_DATA"), REPOSITORY.parent / "shared" / "data"):
        if place and (Path(place) / "MNIST").is_dir():
            return Path(place).resolve()
    pytest.skip("no folder of real data: set DLKIT_DATA")


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.manual_seed(0)
