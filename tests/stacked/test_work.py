"""Runs that are trained as one model, from their configs to their folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from stacked_runs import DIGITS, SMALL, asked, metrics, result, trained

from dlkit.callbacks.base import Callback
from dlkit.cli import train
from dlkit.config_text import as_yaml
from dlkit.reproduce import Made, reasons
from dlkit.run import run
from dlkit.rundir import load
from dlkit.stacked import work
from dlkit.stacked.lives import Asked
from dlkit.state import State

EPOCHS = ("trainer.max_steps=null", "trainer.epochs=3")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(work, "PAYS", 0.0)


def alone(one: Asked) -> None:
    run(OmegaConf.create(one.config), one.folder, one.arguments, choices=one.choices)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Asked], list[Asked]]:
    """Three runs with the usual callbacks, as one and alone."""
    root = tmp_path_factory.mktemp("pair")
    words = ("data=digits", "model.hidden=[8]", "trainer.epochs=3", "optim.lr=0.01")
    both = [asked(words, ("seed=0", "seed=1", "seed=2"), root / name) for name in ("together", "alone")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "PAYS", 0.0)
        heard = trained(both[0])
    assert heard.begun == heard.over == ["seed=0", "seed=1", "seed=2"]
    for one in both[1]:
        alone(one)
    return both[0], both[1]


Pair = tuple[list[Asked], list[Asked]]


def test_every_run_has_the_files_that_it_has_alone(pair: Pair) -> None:
    for one, other in zip(*pair, strict=True):
        there, wanted = (
            {p.name.split(".")[0] for p in folder.rglob("*")} - {"job"} for folder in (one.folder, other.folder)
        )
        assert there == wanted
        assert (one.folder / "job.log").read_text() == (one.folder / "train.log").read_text()


def test_results_and_curves_are_those_of_the_run_alone(pair: Pair) -> None:
    for one, other in zip(*pair, strict=True):
        found, wanted = result(one), result(other)
        assert found.keys() == wanted.keys()
        for name, value in wanted["metrics"].items():
            assert found["metrics"][name] == pytest.approx(value, rel=1e-3)
        assert (found["status"], found["step"], found["seed"]) == (wanted["status"], wanted["step"], wanted["seed"])
        assert found["best"]["step"] == wanted["best"]["step"]
        assert found["best"]["metrics"].keys() == wanted["best"]["metrics"].keys()
        for row, line in zip(metrics(one), metrics(other), strict=True):
            for name in row.keys() - {"seconds", "samples_per_second"}:
                assert row[name] == pytest.approx(line[name], rel=1e-3)


def test_checkpoints_hold_the_weights_of_their_run_only(pair: Pair) -> None:
    for one, other in zip(*pair, strict=True):
        for name in ("last.pt", "best.pt"):
            found, wanted = (folder / "checkpoints" / name for folder in (one.folder, other.folder))
            assert found.stat().st_size == pytest.approx(wanted.stat().st_size, rel=0.1)
            torch.testing.assert_close(load(found)["model"], load(wanted)["model"], rtol=1e-3, atol=1e-4)


def test_env_json_says_with_how_many_it_was_trained(pair: Pair) -> None:
    for one in pair[0]:
        env = json.loads((one.folder / "env.json").read_text())
        assert env["stacked"] == 3
        assert env["arguments"] == list(one.arguments)


def test_the_curves_of_tensorboard_and_the_graph_are_there(pair: Pair) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for one in pair[0]:
        events = EventAccumulator(str(one.folder)).Reload()
        assert events.Graph().node
        assert [event.step for event in events.Scalars("val/loss")] == [40, 80, 120]
        assert len(events.Scalars("val_best/accuracy")) == 1


def test_reproducing_one_alone_says_why_it_is_not_bitwise_the_same(pair: Pair) -> None:
    then, now = (Made.read(runs[1].folder) for runs in pair)
    assert reasons(then, now, ())[0].startswith("it was trained as one model with 2 others")


def test_one_of_them_goes_on_alone(pair: Pair, tmp_path: Path) -> None:
    copy = shutil.copytree(pair[0][1].folder, tmp_path / "copy")
    with pytest.raises(SystemExit) as ended:
        train.main([f"resume={copy}", "trainer.epochs=4"])
    assert not ended.value.code
    assert json.loads((copy / "result.json").read_text())["step"] == 160


def test_a_run_that_stops_early_ends_by_itself_and_the_others_go_on() -> None:
    words = (*SMALL, *EPOCHS, "optim=sgd", "+callbacks.stop._target_=dlkit.callbacks.stopping.Stop")
    stop = "+callbacks.stop.monitor=val/accuracy +callbacks.stop.target"
    runs = asked(words, (f"seed=0 {stop}=0.9", f"seed=1 {stop}=0.01", f"seed=2 {stop}=0.95"))
    heard = trained(runs)
    assert heard.over[0] == runs[1].name
    assert [result(one)["status"] for one in runs] == ["finished", "stopped", "finished"]
    assert [result(one)["step"] for one in runs] == [120, 40, 120]
    assert result(runs[1])["metrics"]["test/accuracy"] > 0


def test_a_run_that_is_not_finite_fails_with_its_last_good_weights_and_the_others_go_on() -> None:
    runs = asked((*SMALL, *EPOCHS, "optim=sgd"), ("optim.lr=0.1", "optim.lr=1e30", "optim.lr=0.2"))
    heard = trained(runs)
    assert sorted(heard.over) == sorted(one.name for one in runs)
    assert [result(one)["status"] for one in runs] == ["finished", "failed", "finished"]
    assert "the loss is not finite at step 2" in result(runs[1])["reason"]
    assert "error: the loss is not finite" in (runs[1].folder / "train.log").read_text()
    last = load(runs[1].folder / "checkpoints" / "last.pt")
    assert last["step"] == 1
    assert all(tensor.isfinite().all() for tensor in last["model"].values())


def test_an_interrupted_stack_goes_on_from_its_checkpoints() -> None:
    long = asked((*SMALL, "optim=momentum"), ("seed=0", "seed=1"))
    short = [Asked(one.name, _with(one.config, 30), one.choices, one.arguments) for one in long]
    trained(short)
    for one in short:
        (one.folder / "result.json").unlink()
    heard = trained(long)
    assert heard.over == ["seed=0", "seed=1"]
    unbroken = asked((*SMALL, "optim=momentum"), ("seed=0", "seed=1"), Path("unbroken"))
    trained(unbroken)
    for one, other in zip(long, unbroken, strict=True):
        found, wanted = (load(x.folder / "checkpoints" / "last.pt") for x in (one, other))
        assert found["step"] == wanted["step"] == 50
        torch.testing.assert_close(found["model"], wanted["model"], rtol=1e-4, atol=1e-6)
        moments = (list(x["optim"]["state"].values()) for x in (found, wanted))
        torch.testing.assert_close(*moments, rtol=1e-3, atol=1e-5)


def test_runs_whose_checkpoints_are_of_another_step_go_on_alone() -> None:
    runs = asked(SMALL, ("seed=0", "seed=1", "seed=2"))
    alone(Asked("", _with(runs[2].config, 20), runs[2].choices, ()))
    heard = trained(runs)
    assert heard.left == {"seed=2": "their checkpoints are of other steps"}
    assert heard.over == ["seed=0", "seed=1"]


def test_a_run_that_is_done_or_a_mistake_is_left_to_a_process_of_its_own() -> None:
    runs = asked(SMALL, ("seed=0", "seed=1", "seed=2", "scheduler.warmup_steps=100"))
    alone(runs[0])
    heard = trained(runs)
    assert set(heard.left) == {"seed=0", "scheduler.warmup_steps=100"}
    assert heard.over == ["seed=1", "seed=2"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("model=lstm_text", "data=text_csv"), "different lengths"),
        (("model=lego", "model.layers=[columns,{lstm:4},{linear:out}]"), ""),
        (("model.activation=prelu", "optim=muon"), "cannot be stacked"),
    ],
)
def test_what_cannot_be_stacked_is_left_alone_with_a_reason(words: tuple[str, ...], why: str, tmp_path: Path) -> None:
    if "data=text_csv" in words:
        lines = [f'"{"good fine " * (i % 5 + 1)}",{i % 2}' for i in range(80)]
        Path("t.csv").write_text("\n".join(["text,label", *lines]))
        words = (*words, "data.path=t.csv", "data.text=text", "data.label=label")
    heard = trained(asked((*DIGITS, *words), ("seed=0", "seed=1")))
    assert set(heard.left) == {"seed=0", "seed=1"}
    assert all(why in reason and reason for reason in heard.left.values())
    assert not Path("s").exists()


def test_trying_leaves_no_trace() -> None:
    runs = asked(SMALL, ("seed=0", "seed=1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "gain", lambda runs: 9.0)
        trained(runs)
    untried = [load(one.folder / "checkpoints" / "last.pt")["model"] for one in runs]
    tried = asked(SMALL, ("seed=0", "seed=1"), Path("tried"))
    trained(tried)
    for one, weights in zip(tried, untried, strict=True):
        torch.testing.assert_close(load(one.folder / "checkpoints" / "last.pt")["model"], weights, rtol=0, atol=0)


def test_a_group_is_cut_to_what_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "fitting", lambda run, processes: 2)
    runs = asked(SMALL, tuple(f"seed={k}" for k in range(5)))
    heard = trained(runs)
    assert sorted([*heard.over, *heard.left]) == [one.name for one in runs]
    assert len(heard.times) == 2


class Looks(Callback):
    """Notes the size of the gradient that it sees."""

    def on_step(self, state: State) -> None:
        self.seen = sum(p.grad.square().sum() for p in state.model.parameters()).sqrt().item()

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        assert figures["train/grad_norm"] == pytest.approx(self.seen, rel=1e-3)


def test_callbacks_of_others_see_the_gradients_of_their_own_run() -> None:
    looks = f"+callbacks.looks._target_={__name__}.Looks"
    heard = trained(asked((*SMALL, looks), ("seed=0", "seed=1")))
    assert not heard.left


def test_words_that_look_like_numbers_stay_words_in_config_yaml() -> None:
    config = {"a": "1e-3", "b": 1e-05, "c": "yes", "d": None, "e": ["007", 7, "x y"], "f": {"g": "é: #", "h": True}}
    assert OmegaConf.to_container(OmegaConf.create(as_yaml(config))) == config


def _with(config: dict[str, object], steps: int) -> dict[str, object]:
    return {**config, "trainer": {**config["trainer"], "max_steps": steps}}  # type: ignore[dict-item]
