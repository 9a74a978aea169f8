"""Settings of the process, put back after every test."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from dlkit import runtime
from dlkit.runtime import choose_device, keep_freed_memory, setup
from dlkit.settings import Trainer


@pytest.fixture(autouse=True)
def put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back too
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    cudnn = torch.backends.cudnn
    before = (cudnn.allow_tf32, cudnn.benchmark, torch.get_num_threads(), torch.get_float32_matmul_precision())
    yield
    cudnn.allow_tf32, cudnn.benchmark, threads, precision = before
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    torch.use_deterministic_algorithms(False)


def trainer(**options: Any) -> Trainer:
    defaults = dict.fromkeys(Trainer.__dataclass_fields__)
    usual = {"device": "cpu", "dtype": "float32", "tf32": True, "deterministic": False, "allocator": False}
    return Trainer(**defaults | usual | options)


def test_threads_are_set_where_given_and_left_alone_where_not() -> None:
    setup(trainer(threads=1))
    assert torch.get_num_threads() == 1
    torch.set_num_threads(2)
    setup(trainer())
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_for_matrix_products_and_convolutions_alike(tf32: bool) -> None:
    setup(trainer(tf32=tf32))
    assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
    assert torch.backends.cudnn.allow_tf32 is tf32


def test_deterministic_mode_is_an_error_for_what_has_no_such_algorithm_and_can_be_left_again() -> None:
    setup(trainer(deterministic=True))
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    setup(trainer())
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark


def test_a_device_that_is_not_there_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"trainer\.device=cuda: .*trainer\.device=auto"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (False, True, "mps"), (True, False, "cuda"), (False, False, "cpu")],
)
def test_auto_takes_cuda_then_mps_then_the_cpu(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto") == torch.device(chosen)
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    import resource

    def page_faults() -> int:
        """Of a tensor of 32 MiB: 8192 pages of 4 KiB."""
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(8 << 20)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_memory()
    assert min(page_faults() for _ in range(8)) < 800  # the first few make room in the heap


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.platform, "libc_ver", lambda: ("musl", ""))
    monkeypatch.setattr(runtime.ctypes, "CDLL", None)  # calling it would fail
    keep_freed_memory()
    monkeypatch.setattr(runtime.platform, "libc_ver", lambda: ("glibc", ""))
    with pytest.raises(TypeError):
        keep_freed_memory()
