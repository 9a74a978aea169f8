"""The small tables against scikit-learn's own loaders."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn import datasets

from dlkit.data.reading.installed import installed
from dlkit.data.tables import small as tabular


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "iris"])
def test_a_table_of_classes_is_sklearns(name: str) -> None:
    ours, theirs = getattr(tabular, name)(), getattr(datasets, f"load_{name}")()
    x, y = ours.splits["train"]
    np.testing.assert_array_equal(x.numpy(), theirs.data.astype(np.float32))
    np.testing.assert_array_equal(y.numpy(), theirs.target)
    assert ours.classes == tuple(theirs.target_names)
    assert (ours.kind, ours.task, x.dtype) == ("tabular", "classification", torch.float32)


def test_diabetes_is_sklearns_unscaled_with_raw_targets() -> None:
    ours, theirs = tabular.diabetes(), datasets.load_diabetes(scaled=False)
    x, y = ours.splits["train"]
    np.testing.assert_array_equal(x.numpy(), theirs.data.astype(np.float32))
    np.testing.assert_array_equal(y.numpy(), theirs.target.astype(np.float32)[:, None])
    assert (ours.kind, ours.task) == ("tabular", "regression")
    assert (y.min().item(), y.max().item()) == (25, 346)


def test_reading_them_does_not_import_sklearn() -> None:
    load = "from dlkit.data.tables import small; small.iris(), small.diabetes()"
    code = f"import sys; {load}; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_without_sklearn_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"data=iris comes with scikit-learn.* pip install scikit-learn"):
        tabular.iris()


def test_a_file_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"data=iris: .*nothing\.csv is missing"):
        installed("iris", "nothing.csv")
