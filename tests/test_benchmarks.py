"""The benchmark of peers: its arithmetic, and the page made of figures. Nothing here is timed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.peers import loops, material, report, scaling, steps
from benchmarks.peers.contest import Contestant, race

SECTION = {
    "title": "Steps",
    "text": "In µs.",
    "head": ["", "MLP"],
    "rows": [["dlkit", "1.5"]],
    "goals": [["fast", 1.0, 1.05, "<="], ["faster", 1.0, 2, ">="], ["beside a peer", None, 2, ">="]],
}


def test_a_spread_is_the_median_and_the_quartiles_of_numpy() -> None:
    times = [1300.0, 1250.0, 1900.0, 1280.0, 1310.0]
    low, middle, high = np.percentile(times, [25, 50, 75])
    assert report.spread(times) == f"{middle:,.0f} ({low:,.0f}–{high:,.0f})"


def test_what_was_not_measured_is_a_dash_and_has_no_ratio() -> None:
    assert report.spread([]) == report.spread(None) == "–"
    assert report.ratio([1.0], None) is report.ratio([], [1.0]) is None
    assert report.ratio([2.0, 4.0, 9.0], [2.0]) == 2.0


@pytest.mark.parametrize(
    ("measured", "bound", "sign", "reached"),
    [(1.0, 1.0, "<=", True), (1.1, 1.0, "<=", False), (1.0, 1.0, ">=", True), (None, 1.0, "<=", False)],
)
def test_a_goal_holds_at_its_bound_and_not_where_it_was_not_measured(
    measured: float | None, bound: float, sign: str, reached: bool
) -> None:
    assert report.holds(["a goal", measured, bound, sign]) is reached


def test_a_goal_with_another_sign_is_refused() -> None:
    with pytest.raises(ValueError, match="sign"):
        report.holds(["a goal", 1.0, 1.0, "<"])


def test_missed_goals_are_named() -> None:
    assert report.missed({"steps": SECTION}) == ["faster: 1, to be ≥ 2", "beside a peer: not measured, to be ≥ 2"]


def test_a_run_of_some_sections_replaces_only_these(tmp_path: Path) -> None:
    path = tmp_path / "performance.json"
    order = ["steps", "memory"]
    report.merge({"memory": SECTION | {"title": "Memory"}, "steps": SECTION}, path, order)
    report.merge({"steps": SECTION | {"title": "New steps"}}, path, order)
    page = path.with_suffix(".md").read_text()
    assert list(json.loads(path.read_text())) == ["memory", "steps"]
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## New steps", "## Memory"]
    assert "| dlkit | 1.5 |" in page
    assert page.count("✓") == page.count("✗") / 2 == 2
    assert "Goals reached: 2 of 6." in page


def test_the_line_through_points_on_a_line_is_that_line() -> None:
    assert report.line([8, 32, 128], [110.0, 140.0, 260.0]) == pytest.approx((100, 1.25))


def test_the_knee_is_told_from_the_figures() -> None:
    text = scaling.knee([10, 100, 1000], [120.0, 300.0, 2100.0])
    assert "costs 100 µs and 2 µs a sample; the knee is at a batch of 50." in text
    assert "a batch of 1000." in text


def test_goals_of_steps_compare_medians_of_the_same_race() -> None:
    times = {steps.DLKIT: [103.0, 100.0, 900.0], steps.LIMIT: [100.0], steps.LIGHTNING: [206.0], steps.SKORCH: [50.0]}
    found = {name: (measured, sign) for name, measured, _, sign in steps.goals({"MLP": times})}
    assert found["MLP: dlkit ÷ limit"] == (1.03, "<=")
    assert found["MLP: Lightning ÷ dlkit"] == (2.0, ">=")
    assert found["MLP: Lightning ÷ dlkit in bf16"] == (None, ">=")
    assert found["MLP: tutorial ÷ dlkit"] == (None, ">=")


def test_the_limit_of_texts_sees_every_text_once_an_epoch_cut_to_the_longest_of_its_batch() -> None:
    x, y = material.texts()
    batches = loops.by_length(x, y)
    epoch = [next(batches)[0] for _ in range(len(x) // material.BATCH)]
    assert all((batch[:, -1] != 0).any() for batch in epoch)
    assert sum(int((batch != 0).sum()) for batch in epoch) == int((x != 0).sum())
    assert sum(batch.numel() for batch in epoch) < 1.05 * int((x != 0).sum())


def test_the_written_texts_are_those_of_the_tensors(tmp_path: Path) -> None:
    made = material.sentences(20)
    material.write_texts(made, tmp_path / "texts.csv")
    _, *lines = (tmp_path / "texts.csv").read_text().splitlines()
    assert [len(line.split(",")[0].split()) for line in lines] == [len(text) for text in made]
    assert len({word for line in lines for word in line.split(",")[0].split()}) == len({n for t in made for n in t})


@pytest.mark.parametrize(("model", "kind"), [("logreg", "logreg"), ("MLP", "mlp"), ("CNN", "cnn")])
def test_the_networks_by_hand_are_as_large_as_those_of_dlkit(model: str, kind: str) -> None:
    from importlib import import_module

    from dlkit.types import Spec

    spec = Spec("image", (1, 28, 28), 10, "classification")
    place = "linear" if kind == "logreg" else kind
    theirs = getattr(import_module(f"dlkit.models.{place}"), kind)(spec, 10)
    shapes = [tuple(p.shape) for p in material.network(model).parameters()]
    assert shapes == [tuple(p.shape) for p in theirs.parameters()]


def test_an_endless_gather_keeps_images_in_channels_last() -> None:
    x = torch.randn(256, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    batch, _ = next(loops.gathered(x, torch.zeros(256, dtype=torch.long)))
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_a_contestant_that_fails_is_told_of_and_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    found = race({"mul": Contestant("math:nothing_of_that_name", 3)}, 1)
    assert found == {}
    assert "nothing_of_that_name" in capfd.readouterr().err


def test_a_loop_goes_on_with_a_new_epoch_where_one_ends() -> None:
    batches = material.Batches(torch.arange(256), torch.arange(256))
    first = loops.endless(batches)
    seen = torch.cat([next(first)[0] for _ in range(4)])
    assert seen.bincount().tolist() == [2] * 256
