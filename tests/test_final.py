"""The model at the end of a run: which weights its final figures are of, averages of checkpoints, views, the digest."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from torchvision import models

import dlkit
from dlkit.build import Experiment, build
from dlkit.callbacks.record import Record
from dlkit.cli import resume
from dlkit.cli.preflight import check as preflight
from dlkit.final import digest, mean, refresh_norms
from dlkit.models.convolved import MaskedNorm
from dlkit.models.views import Views
from dlkit.parts import build_data, uses_channels_last
from dlkit.run import Run
from dlkit.rundir import load, save
from dlkit.settings import Final, config_folder
from dlkit.trained import Trained
from dlkit.trainer import evaluate

CNN = ["model=cnn", "model.channels=[3]", "model.hidden=[6]", "model.batch_norm=true", "callbacks=minimal",
       "data.batch_size=128", "optim.lr=0.02", "trainer.max_steps=12", "trainer.eval_every=3",
       "data.augment.shift=0.1"]  # fmt: skip
MLP = ["model.hidden=[4]", "callbacks=minimal", "data=iris", "data.batch_size=12", "trainer.max_steps=6",
       "trainer.eval_every=2"]  # fmt: skip
CASES = {
    "last": [],
    "best": ["final.weights=best", "callbacks.checkpoint.mode=max"],  # the worst is the best, so not the last
    "average_last": ["final.weights=average_last", "final.average=2", "callbacks.checkpoint.keep_every=4"],
    "average_best": ["final.weights=average_best", "final.average=2", "callbacks.checkpoint.top_k=3"],
    "ema": ["trainer.ema=0.9", "final.weights=average_last", "callbacks.checkpoint.keep_every=2"],
    "views": ["final.mirror=true", "final.shift=1", "trainer.ema=0.9"],
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """The run of a case, trained when it is first asked for."""
    runs: dict[str, Run] = {}
    place = tmp_path_factory.mktemp("runs")

    def of(case: str) -> Run:
        if case not in runs:
            runs[case] = dlkit.train([*CNN, *CASES[case], f"run_dir={place / case}"])
        return runs[case]

    return of


def built(*options: str) -> Experiment:
    config = resume.check(list(options)).config
    assert config is not None
    return build(config, Path("r"))


def figures(loaded: Trained) -> dict[str, float]:
    """The metrics of all splits, from the run's data read anew."""
    data = build_data(loaded.config, loaded.trainer, loaded.measure.device)
    if uses_channels_last(loaded.model, loaded.trainer):
        data.use_channels_last()
    parts = [evaluate(loaded.measure, loaded.model, data.eval(split), split) for split in data.split_sizes]
    return {name: value for part in parts for name, value in part.items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# What is used afterwards is what was measured


@pytest.mark.parametrize("case", CASES)
def test_a_run_loaded_again_gives_the_metrics_of_its_result_to_the_last_digit(
    case: str, trained: Callable[[str], Run]
) -> None:
    run = trained(case)
    loaded = dlkit.load(run.folder)
    assert figures(loaded) == run.result["metrics"]
    assert set(run.result["metrics"]) == {
        f"{s}/{name}" for s in ("train", "val", "test") for name in ("loss", "accuracy")
    }
    assert same(run.model.state_dict(), loaded.model.state_dict())
    assert type(run.model) is type(loaded.model)
    assert not any(part.training for part in run.model.modules())
    assert run.result["digest"] == digest(loaded.model.state_dict())


def test_the_weights_are_those_of_the_file_that_the_config_names(trained: Callable[[str], Run]) -> None:
    files = {"last": "last", "best": "best", "average_last": "average", "average_best": "average", "ema": "average"}
    for case, name in files.items():
        run = trained(case)
        assert same(run.model.state_dict(), load(run.folder / "checkpoints" / f"{name}.pt")["model"])
        assert run.result["weights"] == (case if case != "ema" else "average_last")
        assert dlkit.load(run.folder).weights == name


def test_another_checkpoint_can_be_asked_for_by_name(trained: Callable[[str], Run]) -> None:
    run = trained("average_last")
    for name, step in (("last", 12), ("best", run.result["best"]["step"]), ("step-4", 4), ("average", 12)):
        loaded = dlkit.load(run.folder, weights=name)
        assert (loaded.weights, loaded.step) == (name, step)
        assert same(loaded.model.state_dict(), load(run.folder / "checkpoints" / f"{name}.pt")["model"])
    with pytest.raises(ValueError, match=r"--weights step-5: .*it has average, best, last, step-12, step-4, step-8"):
        dlkit.load(run.folder, weights="step-5")


def test_with_the_best_weights_the_metrics_are_those_of_best(trained: Callable[[str], Run]) -> None:
    result = trained("best").result
    assert result["best"]["step"] < result["step"]
    assert result["metrics"] == result["best"]["metrics"]
    assert result["metrics"]["val/loss"] == result["best"]["value"]
    assert result["best"]["metrics"] != trained("last").result["metrics"]


def test_the_best_weights_are_measured_beside_an_average(trained: Callable[[str], Run]) -> None:
    run = trained("average_last")
    assert run.result["best"]["metrics"] == figures(dlkit.load(run.folder, weights="best"))
    assert run.result["best"]["metrics"] != run.result["metrics"]


def test_a_run_from_before_there_was_a_choice_has_its_last_weights(
    trained: Callable[[str], Run], tmp_path: Path
) -> None:
    folder = trained("last").folder
    config = yaml.safe_load((folder / "config.yaml").read_text())
    del config["final"]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.yaml").write_text(yaml.safe_dump(config))
    shutil.copytree(folder / "checkpoints", tmp_path / "old" / "checkpoints")
    loaded = dlkit.load("old")
    assert (loaded.weights, loaded.step) == ("last", 12)
    assert not isinstance(loaded.model, Views)


# Averages


def test_the_mean_of_two_checkpoints_is_theirs_by_hand_with_the_later_ones_buffers() -> None:
    files = [Path("a.pt"), Path("b.pt")]
    for step, file in enumerate(files, start=1):
        save({"model": {"w": torch.tensor([1.0, 4.0]) * step, "count": torch.tensor(step)}, "step": step}, file)
    weights, steps = mean(files, {"w"})
    assert weights["w"].tolist() == [1.5, 6.0]
    assert weights["w"].dtype == torch.float32
    assert (weights["count"].item(), steps) == (2, [1, 2])


@pytest.mark.parametrize("case", ["average_last", "average_best", "ema"])
def test_a_run_s_average_is_the_mean_of_its_checkpoints(case: str, trained: Callable[[str], Run]) -> None:
    folder = trained(case).folder / "checkpoints"
    got = load(folder / "average.pt")
    names = [f"step-{step}" for step in {"average_last": (8, 12), "ema": (4, 6, 8, 10, 12)}.get(case, ())]
    if case == "average_best":
        evaluations = {file.stem: load(file)["value"] for file in folder.glob("best-*.pt")}
        names = sorted(evaluations, key=lambda name: evaluations[name])[:2]
    saved = [load(folder / f"{name}.pt") for name in names]
    assert got["averaged"] == sorted(one["step"] for one in saved)
    assert got["step"] == max(one["step"] for one in saved)
    for name in ("0.weight", "1.weight", "1.bias", "5.weight"):
        torch.testing.assert_close(got["model"][name], sum(one["model"][name] for one in saved) / len(saved))
    assert {"spec", "encoder"} <= set(got)


def test_statistics_of_batch_norm_are_made_anew_as_torch_makes_them() -> None:
    run = built(*CNN)
    theirs = build(OmegaConf.create(run.state.config), Path("r")).state.model
    theirs.load_state_dict(run.state.model.state_dict())
    for batch in (next(run.data.train(step)) for step in range(3)):  # statistics that are to be forgotten
        run.state.model.train()(batch.x)
    plain = built(*[option for option in CNN if "augment" not in option]).data.train(0)
    update_bn([next(plain).x for _ in range(run.data.steps_per_epoch)], theirs)
    refresh_norms(run)
    ours = run.state.model.state_dict()
    assert same(ours, theirs.state_dict())
    assert ours["1.num_batches_tracked"] == run.data.steps_per_epoch
    assert not run.state.model.training
    assert run.state.model[1].momentum == 0.1  # type: ignore[index]


def test_norms_that_are_frozen_keep_their_statistics() -> None:
    run = built(*CNN)
    norm = run.state.model[1]  # type: ignore[index]
    assert isinstance(norm, nn.BatchNorm2d)
    norm.requires_grad_(False)
    norm.running_mean.fill_(3.0)  # type: ignore[union-attr]
    refresh_norms(run)
    assert norm.running_mean.eq(3).all()  # type: ignore[union-attr]


def test_masked_norms_take_a_plain_mean_over_batches_as_torch_s_do() -> None:
    ours, theirs = MaskedNorm(3, momentum=None), nn.BatchNorm1d(3, momentum=None)
    for size in (2, 5, 4):
        x = torch.randn(size, 3, 7)
        ours(x, torch.full((size,), 7))
        theirs(x)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))


def test_fewer_checkpoints_than_asked_for_are_averaged_and_counted() -> None:
    run = dlkit.train([*MLP, "final.weights=average_last", "callbacks.checkpoint.keep_every=2"])
    assert "final.average=5: the run has kept 3 such checkpoints\n" in (run.folder / "train.log").read_text()
    assert load(run.folder / "checkpoints" / "average.pt")["averaged"] == [2, 4, 6]


def test_a_run_that_ends_before_its_first_checkpoint_has_its_last_weights() -> None:
    options = ["final.weights=average_last", "callbacks.checkpoint.keep_every=5", "+callbacks.stop.monitor=train/loss",
               "+callbacks.stop._target_=dlkit.callbacks.stopping.Stop", "+callbacks.stop.target=100"]  # fmt: skip
    run = dlkit.train([*MLP, *options])
    assert (run.result["status"], run.result["weights"]) == ("stopped", "last")
    assert "the run has kept 0 such checkpoints, so the last weights are used" in (run.folder / "train.log").read_text()
    assert same(dlkit.load(run.folder).model.state_dict(), dlkit.load(run.folder, weights="last").model.state_dict())


def test_an_interrupted_run_has_no_average_and_ends_with_the_bits_of_an_unbroken_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = [*MLP, "model.batch_norm=true", "final.weights=average_best", "final.average=2",
               "callbacks.checkpoint.top_k=2"]  # fmt: skip
    whole = dlkit.train([*options, "run_dir=whole"]).result

    def on_step(callback: Record, state: Any) -> None:
        if state.step == 5:
            state.signal, state.stop = signal.SIGTERM, "SIGTERM"

    with monkeypatch.context() as patch:
        patch.setattr(Record, "on_step", on_step)
        parts = dlkit.train([*options, "run_dir=parts"]).result
    assert (parts["status"], parts["weights"], parts["digest"]) == ("interrupted", None, None)
    with pytest.raises(ValueError, match=r"final\.weights=average_best: parts has no average\.pt, only best"):
        dlkit.load("parts")
    ended = dlkit.train(["resume=parts"]).result
    for key in ("weights", "digest", "metrics", "best"):
        assert ended[key] == whole[key]


def test_a_run_that_is_prolonged_and_interrupted_does_not_keep_its_old_average(monkeypatch: pytest.MonkeyPatch) -> None:
    options = [*MLP, "final.weights=average_last", "callbacks.checkpoint.keep_every=2", "run_dir=r"]
    dlkit.train(options)
    assert Path("r/checkpoints/average.pt").is_file()
    monkeypatch.setattr(
        Record, "on_step", lambda callback, state: setattr(state, "signal", 15) or setattr(state, "stop", "x")
    )
    assert dlkit.train(["resume=r", "trainer.max_steps=9"]).result["status"] == "interrupted"
    assert not Path("r/checkpoints/average.pt").exists()


def test_files_of_beaten_evaluations_stay_until_the_run_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Record, "on_eval", lambda *_: seen.append(len(list(Path("r/checkpoints").glob("best-*.pt")))))
    dlkit.train([*MLP, "run_dir=r", "callbacks.checkpoint.top_k=1", "trainer.eval_every=1"])
    assert max(seen) > 1
    assert len(list(Path("r/checkpoints").glob("best-*.pt"))) == 1


# What cannot be is refused before anything is trained or written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["final.weights=best", "data.val_fraction=0"], "final.weights=best: there is no validation split"),
        (["final.weights=best", "~callbacks.checkpoint"], "final.weights=best: needs callbacks.checkpoint"),
        (["final.weights=average_last"], "no checkpoints are kept; set callbacks.checkpoint.keep_every"),
        (
            ["final.weights=average_last", "callbacks.checkpoint.keep_every=7"],
            "callbacks.checkpoint.keep_every=7 keeps none in the 6 steps",
        ),
        (
            ["final.weights=average_best", "callbacks.checkpoint.top_k=3", "final.average=4"],
            "callbacks.checkpoint.top_k=3 keeps fewer; set callbacks.checkpoint.top_k=4",
        ),
        (
            ["final.weights=average_best", "callbacks.checkpoint.top_k=5", "data.val_fraction=0"],
            "final.weights=average_best: there is no validation split",
        ),
        (["final.mirror=true"], "final.mirror=true: only images have views, this data is tabular"),
        (["final.shift=2"], "final.shift=2: only images have views"),
        (["data=digits", "final.shift=8"], "final.shift=8: expected less than the image's side, 8 pixels"),
    ],
)
def test_a_final_model_that_cannot_be_is_refused(options: Sequence[str], message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        dlkit.train([*MLP, *options])
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert list(Path.cwd().iterdir()) == []


def test_a_sweep_over_the_final_weights_is_accepted() -> None:
    assert preflight(["-m", "final.weights=last,best", "final.mirror=true,false"], config_folder()).mistakes == []


def test_the_defaults_of_the_config_are_those_of_the_class() -> None:
    node = yaml.safe_load((config_folder() / "train.yaml").read_text())["final"]
    del node["_target_"]
    assert Final(**node) == Final()


# The digest


def test_the_digest_is_equal_for_equal_runs_and_another_for_another_seed() -> None:
    runs = {"a": 1, "b": 1, "c": 2}
    a, b, c = (dlkit.train([*MLP, f"seed={seed}", f"run_dir={name}"]).result for name, seed in runs.items())
    assert a["digest"] == b["digest"] != c["digest"]
    assert len(a["digest"]) == 16


def test_the_digest_knows_names_types_shapes_and_values_and_nothing_else() -> None:
    weights = {"a": torch.randn(2, 3, 4, 5), "b": torch.tensor(3)}
    told = digest(weights)
    other = {"b": weights["b"], "a": weights["a"].to(memory_format=torch.channels_last)}
    assert digest(other) == told
    changed = weights["a"].clone()
    changed[1, 2, 3, 4] += 1
    for a in (changed, weights["a"].double(), weights["a"].reshape(2, 3, 20)):
        assert digest({**weights, "a": a}) != told
    assert digest({"c": weights["a"], "b": weights["b"]}) != told
    assert digest({"a": weights["a"].bfloat16()}) != digest({"a": weights["a"].half()})


# First weights are not needed a second time


def test_a_run_is_loaded_when_the_files_that_it_began_from_are_gone() -> None:
    Path("texts.csv").write_text("text,label\n" + "".join(f"good day {i},yes\nbad night {i},no\n" for i in range(30)))
    Path("vectors.txt").write_text("good 1 2 3\nbad 3 2 1\n")
    small = "shufflenet_v2_x0_5"
    images = ["model=torchvision", f"model.name={small}", "data.batch_size=64", "trainer.max_steps=1",
              "callbacks=minimal"]  # fmt: skip
    texts = ["data=text_csv", "data.path=texts.csv", "data.text=text", "data.label=label", "data.batch_size=6",
             "model=cnn_text", "model.vectors=vectors.txt", "run_dir=texts", "callbacks=minimal",
             "trainer.max_steps=2"]  # fmt: skip
    torch.save(models.get_model(small, num_classes=10).state_dict(), "net.pt")
    runs = [dlkit.train(texts), dlkit.train([*images, "model.weights=net.pt", "model.freeze=true", "run_dir=images"])]
    for name in ("vectors.txt", "net.pt"):
        Path(name).unlink()
    for run in runs:
        assert same(dlkit.load(run.folder).model.state_dict(), run.model.state_dict())
        assert json.loads((run.folder / "result.json").read_text())["digest"] == run.result["digest"]
