"""What tests share: a tiny data set, a tiny model, and the folder of real data where there is one."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType

from dlkit.cli.preflight import check
from dlkit.settings import config_folder
from dlkit.types import Spec

os.environ["OMP_NUM_THREADS"] = "1"  # of the programs that tests start
torch.set_num_threads(1)  # tiny models are faster so, and tests do not wait for each other's threads


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
    place = os.environ.get("DLKIT_DATA")
    if place is None:
        pytest.skip("no folder of real data: set DLKIT_DATA")
    return Path(place).resolve()


@pytest.fixture
def refusal() -> Callable[[str], str]:
    """The only line with which the preflight answers a command."""

    def answer(command: str) -> str:
        (line,) = check(command.split(), config_folder()).mistakes
        return line

    return answer


@pytest.fixture(scope="session", autouse=True)
def shipped_configs_are_parsed_once() -> Iterator[None]:
    """Reading the same YAML files again is half of the time of composing a config, which most tests do."""
    read, known = ConfigRepository.load_config, dict[str, bytes]()
    shipped = ("hydra.conf", str(config_folder()))

    def load_config(repository: ConfigRepository, config_path: str) -> Any:
        source = repository._find_object_source(config_path, ObjectType.CONFIG)
        if source is None or source.path not in shipped:
            return read(repository, config_path)
        name = f"{source.path}/{config_path}"
        if name not in known:
            known[name] = pickle.dumps(read(repository, config_path))
        return pickle.loads(known[name])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigRepository, "load_config", load_config)
        yield


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.manual_seed(0)
