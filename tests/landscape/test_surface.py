"""The loss on a plane through a model's weights, and the way that a run went on one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trained_runs
from sklearn.decomposition import PCA
from torch import nn

import dlkit
from dlkit.cli import main
from dlkit.evaluation.data import read
from dlkit.landscape.surface import directions, examples, filter_normalised, moving, surface
from dlkit.landscape.trajectory import trajectory
from dlkit.trained import Trained, load
from dlkit.trainer import evaluate as measured

QUICK = ["callbacks=minimal", "trainer.epochs=2", "data.val_fraction=0.2"]
LINE = np.linspace(-1, 1, 3)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs in folders of their own: linear, net (with norms), way (with checkpoints)."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        dlkit.train(["data=diabetes", "model=linreg", *QUICK, "run_dir=linear"])
        dlkit.train(["model=cnn", "model.channels=[4,8]", "model.batch_norm=true", *QUICK, "run_dir=net"])
        keep = "callbacks.checkpoint.keep_every=15"
        dlkit.train(["model.hidden=[16]", "trainer.max_steps=60", keep, *QUICK, "run_dir=way"])
    return place


@pytest.fixture(autouse=True)
def in_that_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def weights(trained: Trained) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in trained.model.state_dict().values()]


def test_the_surface_of_a_linear_regression_is_the_quadratic_that_algebra_gives() -> None:
    trained = load("linear")
    plane = directions(trained.model)
    batches = examples(trained, count=100)
    x, y = torch.cat([batch.x for batch in batches]), torch.cat([batch.y for batch in batches])
    w, bias = trained.model.parameters()
    d1, d2 = (direction[0] for direction in plane)
    grid = np.linspace(-2, 2, 5)
    found = surface(trained, batches, plane, grid, grid)
    for i, b in enumerate(grid):
        for j, a in enumerate(grid):
            residual = y - x @ (w + a * d1 + b * d2).T - bias
            assert found.loss[i, j] == pytest.approx(residual.square().mean().item(), rel=1e-4)


def names(trained: Trained) -> list[str]:
    return [name for name, _ in trained.model.named_parameters()]


def test_every_filter_of_a_direction_is_as_long_as_the_weights_and_biases_and_norms_stay() -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(20, 4), nn.LSTM(4, 2))
    direction = filter_normalised(model, torch.manual_seed(0))
    for (name, p), d in zip(model.named_parameters(), direction, strict=True):
        if p.ndim < 2:
            assert not d.any(), name
        else:
            assert torch.allclose(d.flatten(1).norm(dim=1), p.flatten(1).norm(dim=1), rtol=1e-5), name
            assert not torch.allclose(d, p.detach())


def test_the_seed_decides_the_directions_and_two_of_them_are_all_but_at_right_angles() -> None:
    model = load("net").model
    flat = [torch.cat([d.flatten() for d in one]) for one in (*directions(model), *directions(model, 1))]
    again = torch.cat([d.flatten() for d in directions(model)[0]])
    assert torch.equal(flat[0], again)
    assert not torch.equal(flat[0], flat[2])
    assert abs(torch.cosine_similarity(flat[0], flat[1], dim=0)) < 0.1


def test_the_middle_is_the_loss_that_evaluate_gives_and_the_weights_are_untouched() -> None:
    trained = load("net")
    before = weights(trained)
    found = surface(trained, examples(trained, count=10**6), directions(trained.model), LINE, LINE)
    expected = measured(trained.measure, trained.model, read(trained).data.eval("train"), "train")["train/loss"]
    assert found.loss[1, 1] == pytest.approx(expected, rel=1e-6)
    assert found.loss[0, 0] > found.loss[1, 1]
    assert all(torch.equal(one, other) for one, other in zip(before, weights(trained), strict=True))


def test_weights_are_put_back_where_something_fails() -> None:
    trained = load("net")
    before = weights(trained)
    with torch.no_grad(), pytest.raises(KeyError), moving(trained.model) as move:
        move(directions(trained.model), 1.0, 1.0)
        raise KeyError
    assert all(torch.equal(one, other) for one, other in zip(before, weights(trained), strict=True))


def test_some_examples_of_a_split_are_drawn_once_each_and_by_the_seed() -> None:
    trained = load("net")
    drawn = [torch.cat([batch.x for batch in examples(trained, count=70, seed=seed)]) for seed in (0, 0, 1)]
    assert len(drawn[0]) == 70
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    x = torch.cat([batch.x for batch in read(trained).data.eval("train")])
    assert ((drawn[0][:, None] == x[None]).flatten(2).all(2).sum(1) >= 1).all()


@pytest.mark.parametrize("kind", ["texts", "recordings", "table"])
def test_every_kind_of_data_has_a_surface(kind: str, tmp_path: Path) -> None:
    getattr(trained_runs, kind)(tmp_path)
    trained = load(tmp_path / "run")
    found = surface(trained, examples(trained), directions(trained.model), LINE, LINE)
    expected = measured(trained.measure, trained.model, read(trained).data.eval("train"), "train")["train/loss"]
    assert found.loss[1, 1] == pytest.approx(expected, rel=1e-4)
    assert np.isfinite(found.loss).all()


def test_the_plane_of_a_trajectory_is_that_of_scikit_learns_principal_components() -> None:
    trained = load("way")
    way = trajectory(trained)
    assert way.steps == [15, 30, 45, 60]
    files = [f"way/checkpoints/step-{step}.pt" for step in way.steps]
    states = [torch.load(file, weights_only=True)["model"] for file in files]
    points = torch.stack([torch.cat([state[name].flatten() for name in names(trained)]) for state in states]).double()
    reference = PCA(2).fit((points - points[-1]).numpy())
    assert way.explained == pytest.approx(reference.explained_variance_ratio_, rel=1e-6)
    for direction, axis in zip(way.plane, reference.components_, strict=True):
        flat = torch.cat([d.flatten() for d in direction]).double().numpy()
        assert abs(flat @ axis) == pytest.approx(1, abs=1e-5)
    assert way.points[-1].tolist() == [0, 0]
    assert (way.points[0] >= 0).all()


def test_three_points_span_their_plane_and_each_is_where_its_checkpoint_was() -> None:
    trained = load("way", weights="step-45")
    way = trajectory(trained)
    assert way.steps == [15, 30, 45]
    assert sum(way.explained) == pytest.approx(1)
    batches = examples(trained)
    first = trajectory_loss(trained, batches, way.points[0], way.plane)
    trained = load("way", weights="step-15")
    assert first == pytest.approx(measured(trained.measure, trained.model, batches, "at")["at/loss"], rel=1e-4)


def trajectory_loss(trained: Trained, batches: list, point: np.ndarray, plane: tuple) -> float:
    return float(surface(trained, batches, plane, point[:1], point[1:]).loss[0, 0])


def test_the_command_writes_pictures_and_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    main(["landscape", "way", "--points", "5", "--range", "0.5"])
    assert "on 1,000 examples of train" in capsys.readouterr().out
    numbers = np.load("way/landscape.npz")
    assert numbers["loss"].shape == (5, 5)
    assert numbers["a"].tolist() == [-0.5, -0.25, 0, 0.25, 0.5]
    main(["landscape", "way", "--points", "5", "--trajectory"])
    assert "after 4 checkpoints" in capsys.readouterr().out
    assert np.load("way/trajectory.npz")["points"].shape == (4, 2)
    for name in ("landscape", "trajectory"):
        assert Path(f"way/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in Path(f"way/{name}.svg").read_text()[:1000]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("nowhere", "nowhere: there is no run"),
        ("way --points 4", "--points 4: expected an odd number"),
        ("way --examples 0", "--examples 0: expected 1 or more"),
        ("way --range -1", "--range -1: expected a length above 0"),
        ("way --range 1 --trajectory", "--range 1: has no effect with --trajectory"),
        ("net --trajectory", "callbacks.checkpoint.keep_every=STEPS"),
        ("way --split tset", "--split"),
    ],
)
def test_mistakes_are_answered_in_a_line(words: str, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["landscape", *words.split()])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert answer in line


def test_mistakes_are_found_without_torch() -> None:
    program = """
import sys
from dlkit.cli import main
try:
    main(["landscape", "net", "--trajectory"])
finally:
    assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "keep_every" in done.stderr
