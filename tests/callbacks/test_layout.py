"""Which curves share a chart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from events import events, tensors
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout as Proto

import dlkit
from dlkit.callbacks.panels.panel import Board


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def charts(folder: str) -> dict[str, dict[str, set[str]]]:
    """Groups, charts, and the curves in each, found as TensorBoard finds them."""
    layout = Proto()
    (content,) = tensors(folder, "custom_scalars__config__")
    layout.ParseFromString(content.item())
    curves = events(folder).Tags()["scalars"]
    return {
        group.title: {
            chart.title: {curve for curve in curves for tag in chart.multiline.tag if re.match(tag, curve)}
            for chart in group.chart
        }
        for group in layout.category
    }


def test_train_and_validation_of_each_metric_share_a_chart_and_so_do_all_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Board, "grants", lambda *_: True)  # also in a run that is so short
    dlkit.train(["data=digits", "model=mlp", "trainer.epochs=1", "trainer.log_every=10", "run_dir=r"])
    found = charts("r")
    assert found["metrics"] == {
        name: {f"{split}/{name}" for split in ("train", "val")} for name in ("loss", "accuracy")
    }
    layers = {"1.Linear", "3.Linear", "5.Linear"}
    assert found["layers"]["norm of the gradient"] == {f"within/gradient_norm/{layer}" for layer in layers}
    assert all(found["layers"].values())  # no chart is empty


def test_every_metric_of_numbers_has_a_chart_and_layers_none_where_nothing_writes_them() -> None:
    away = ["~callbacks.layers", "~callbacks.activations"]
    dlkit.train(["data=diabetes", "model=mlp", "trainer.epochs=1", "run_dir=r", *away])
    assert set(charts("r")["metrics"]) == {"loss", "r2", "rmse", "mae"} and "layers" not in charts("r")


def test_a_resumed_run_has_the_same_layout() -> None:
    dlkit.train(["data=iris", "model=mlp", "trainer.max_steps=20", "run_dir=r"])
    before = charts("r")["metrics"]
    dlkit.train(["resume=r", "trainer.max_steps=40"])
    *_, content = tensors("r", "custom_scalars__config__")
    layout = Proto()
    layout.ParseFromString(content.item())
    assert {chart.title for chart in layout.category[0].chart} == set(before)
