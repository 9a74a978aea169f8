"""Searches: what is drawn, how trials become jobs and jobs results, how a search goes on, and what is pruned."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from time import monotonic, sleep
from typing import Any

import numpy
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from dlkit.callbacks.prune import Prune
from dlkit.cli import train
from dlkit.sweeps.jobs import Job, Outcome
from dlkit.sweeps.plan import Plan, split
from dlkit.sweeps.sweepers.optuna.pruning import STARTUP, Medians, curve, medians
from dlkit.trust import is_allowed, targets

optuna = pytest.importorskip("optuna")
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402
from optuna.storages import JournalStorage, RDBStorage  # noqa: E402
from optuna.storages.journal import JournalFileBackend  # noqa: E402

from dlkit.sweeps.sweepers.optuna.search import Search  # noqa: E402
from dlkit.sweeps.sweepers.optuna.space import as_option, compatible, distribution  # noqa: E402
from dlkit.sweeps.sweepers.optuna.trials import GIVE_UP, SWEEP, Space, Trials  # noqa: E402

optuna.logging.set_verbosity(optuna.logging.WARNING)
X = FloatDistribution(-10, 10)
Ending = Callable[[dict[str, str]], Outcome]


def drawn_from(text: str) -> Any:
    return distribution(OverridesParser.create().parse_override(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optim.lr=tag(log,interval(1e-4,1))", FloatDistribution(1e-4, 1, log=True)),
        ("optim.lr=interval(0.1,1)", FloatDistribution(0.1, 1)),
        ("model.width=int(interval(8,64))", IntDistribution(8, 64)),
        ("model.width=tag(log,int(interval(8,64)))", IntDistribution(8, 64, log=True)),
        ("model.width=range(16,65,16)", IntDistribution(16, 64, step=16)),
        ("model.width=range(64,15,-16)", IntDistribution(16, 64, step=16)),
        ("model.dropout=range(0.0,0.5,0.25)", FloatDistribution(0.0, 0.25, step=0.25)),
        ("model=mlp,cnn,mlp", CategoricalDistribution(["mlp", "cnn"])),
        ("model.hidden=choice([64],[128,64])", CategoricalDistribution(["[64]", "[128,64]"])),
        ("model.width=shuffle(range(3))", CategoricalDistribution(["0", "1", "2"])),
    ],
)
def test_values_are_drawn_from_what_the_syntax_of_sweeps_says(text: str, expected: Any) -> None:
    found = drawn_from(text)
    if "shuffle" in text:
        found = CategoricalDistribution(sorted(found.choices))
    assert found == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("optim.lr=interval(1,0.1)", "must be below"),
        ("optim.lr=tag(log,interval(0,0.1))", "greater than 0"),
        ("optim.lr=tag(exp,interval(0.1,1))", "tagged"),
        ("model.width=tag(log,range(1,9))", "tagged"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(ValueError) as error:
        drawn_from(text)
    assert words in str(error.value) and text in str(error.value)


def test_a_drawn_number_has_six_digits_and_stays_in_its_interval() -> None:
    assert as_option(0.00123456789, FloatDistribution(0, 1)) == "0.00123457"
    assert as_option(0.12345612, FloatDistribution(0.12345612, 0.5)) == "0.12345612"
    assert as_option(7, IntDistribution(1, 9)) == "7"


def test_a_study_goes_on_with_other_ends_but_not_with_other_choices_or_another_scale() -> None:
    assert compatible(FloatDistribution(0.1, 1), FloatDistribution(0.01, 2))
    assert not compatible(FloatDistribution(0.1, 1), FloatDistribution(0.1, 1, log=True))
    assert not compatible(FloatDistribution(1, 9), IntDistribution(1, 9))
    assert not compatible(CategoricalDistribution(["a"]), CategoricalDistribution(["a", "b"]))


class Bench:
    """A search over a journal in `folder`, whose jobs end as `ending` says of their options, without any training."""

    def __init__(self, folder: Path, ending: Ending, sampler: Any = None) -> None:
        self.folder, self.ending = folder, ending
        self.sampler = sampler or optuna.samplers.RandomSampler(seed=0)
        self.names: list[str] = []  # of jobs, as they were begun
        self.common: dict[str, Any] = {"callbacks": {}}  # of their configs

    def trials(self, n: int, space: Space, **options: Any) -> Trials:
        storage = JournalStorage(JournalFileBackend(str(self.folder / "study.journal")))
        study = optuna.create_study(storage=storage, study_name="s", sampler=self.sampler, load_if_exists=True)
        plan = Plan.read(self.folder) or Plan("s", "", "", [], {}, {key: [] for key in (*space.drawn, *space.repeats)})

        def make(given: Sequence[str]) -> Job:
            name = plan.name_of(given)
            return Job(name, tuple(given), self.common, {}, str(self.folder / name), "")

        return Trials(study, space, plan, self.folder, make, n, **options)

    def run(self, trials: Trials, at_once: int = 1, until: int = 10**6) -> None:
        """So many jobs at once, the oldest ends first; stops dead when `until` have ended."""
        running: list[Job] = []
        for _ in range(until):
            while len(running) < at_once and (job := trials.next()):
                running.append(job)
                self.names.append(job.name)
            if not running:
                return
            job = running.pop(0)
            outcome = self.ending(dict(map(split, job.overrides)))
            outcome = Outcome(job.name, outcome.status, outcome.reason, outcome.value)
            Path(job.folder).mkdir(parents=True, exist_ok=True)
            result = {"status": outcome.status, "reason": outcome.reason, "best": {"value": outcome.value}}
            (Path(job.folder) / "result.json").write_text(json.dumps(result))
            trials.ended(job, outcome)


def square(options: dict[str, str]) -> Outcome:
    return Outcome("", "finished", value=(float(options["x"]) - 2) ** 2 + float(options.get("seed", 0)))


def states(trials: Trials) -> list[str]:
    return [trial.state.name for trial in trials.own()]


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("killed_after", [0, 2, 7])
def test_a_killed_search_goes_on_to_exactly_so_many_trials_and_loses_none(
    tmp_path: Path, at_once: int, killed_after: int
) -> None:
    bench = Bench(tmp_path, square)
    space = Space({"x": X}, {"seed": ["0", "1"]}, [])
    bench.run(bench.trials(6, space), at_once, until=killed_after)
    begun = list(bench.names)
    trials = bench.trials(6, space)
    bench.run(trials, at_once)
    assert states(trials) == ["COMPLETE"] * 6
    assert set(begun) <= set(bench.names[len(begun) :]) | {path.parent.name for path in tmp_path.glob("*/result.json")}
    assert len(list(tmp_path.glob("*/result.json"))) == 12
    assert len(Plan.read(tmp_path).jobs) == 12  # type: ignore[union-attr]
    assert bench.trials(6, space).next() is None


def test_the_value_of_a_trial_is_the_mean_over_its_seeds(tmp_path: Path) -> None:
    bench = Bench(tmp_path, square)
    trials = bench.trials(2, Space({"x": X}, {"seed": ["0", "1", "5"]}, []))
    bench.run(trials, at_once=2)
    for trial in trials.own():
        x = float(f"{trial.params['x']:.6g}")
        assert trial.value == pytest.approx(fmean([(x - 2) ** 2, (x - 2) ** 2 + 1, (x - 2) ** 2 + 5]))


def test_a_search_prolonged_later_adds_the_trials_that_are_missing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, square)
    bench.run(bench.trials(3, Space({"x": X}, {}, [])))
    trials = bench.trials(5, Space({"x": X}, {}, []))
    bench.run(trials)
    assert states(trials) == ["COMPLETE"] * 5 and len(bench.names) == 5


def test_a_refused_trial_is_replaced_and_its_other_seeds_are_left_out(tmp_path: Path) -> None:
    def ending(options: dict[str, str]) -> Outcome:
        refused = float(options["x"]) > 5
        return Outcome("", "failed", "x is too large") if refused else square(options)

    bench = Bench(tmp_path, ending)
    trials = bench.trials(12, Space({"x": X}, {"seed": ["0", "1"]}, []))
    bench.run(trials)
    found = states(trials)
    assert found.count("COMPLETE") == 12 and found.count("FAIL") > 0
    assert len(bench.names) == 24 + found.count("FAIL")


def test_a_search_in_which_all_fails_gives_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda options: Outcome("", "failed", "no such file"))
    trials = bench.trials(100, Space({"x": X}, {}, []))
    bench.run(trials)
    assert trials.gave_up and trials.why == "no such file" and len(bench.names) == GIVE_UP


def test_a_run_without_validation_figure_is_no_trial(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda options: Outcome("", "finished"))
    trials = bench.trials(2, Space({"x": X}, {}, []))
    bench.run(trials)
    assert set(states(trials)) == {"FAIL"} and "validation" in trials.why


def test_values_drawn_twice_are_trained_once_also_at_the_same_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, square)
    trials = bench.trials(10, Space({"x": CategoricalDistribution(["1", "2"])}, {}, []))
    bench.run(trials, at_once=4)
    assert states(trials) == ["COMPLETE"] * 10
    assert sorted(bench.names) == ["x=1", "x=2"]


def test_an_interrupted_job_leaves_its_trial_to_the_next_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path, square)
    trials = bench.trials(4, Space({"x": X}, {}, []))
    first, second = trials.next(), trials.next()
    assert first and second
    trials.ended(first, Outcome(first.name, "interrupted"))
    assert trials.next() is None
    again = bench.trials(4, Space({"x": X}, {}, []))
    assert [again.next(), again.next()] == [first, second]


def test_trials_of_another_search_in_the_same_storage_are_not_taken_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path, square)
    bench.trials(4, Space({"x": X}, {}, [])).study.ask({"x": X})
    trials = bench.trials(4, Space({"x": X}, {}, []))
    bench.run(trials)
    assert states(trials) == ["COMPLETE"] * 4 and len(trials.study.trials) == 5


def test_a_pruned_trial_is_told_so_and_counts(tmp_path: Path) -> None:
    def ending(options: dict[str, str]) -> Outcome:
        value = square(options).value
        pruned = float(options["x"]) < 0
        return Outcome("", "stopped", "pruned at epoch 3: …", value) if pruned else Outcome("", "finished", "", value)

    bench = Bench(tmp_path, ending)
    trials = bench.trials(8, Space({"x": X}, {"seed": ["0", "1"]}, []))
    bench.run(trials)
    for trial in trials.own():
        assert trial.state.name == ("PRUNED" if trial.params["x"] < 0 else "COMPLETE")
    assert len(trials.own()) == 8
    assert "PRUNED" in states(trials)


def test_tpe_comes_closer_to_the_best_of_a_known_function_than_random_draws(tmp_path: Path) -> None:
    def closest(sampler: Any, name: str) -> float:
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name, lambda options: Outcome("", "finished", value=_bowl(options)), sampler)
        trials = bench.trials(30, Space({"x": X, "y": X}, {}, []))
        bench.run(trials)
        return min(trial.value for trial in trials.own())

    tpe = closest(optuna.samplers.TPESampler(seed=0, constant_liar=True), "tpe")
    assert tpe < closest(optuna.samplers.RandomSampler(seed=0), "random") / 2


def _bowl(options: dict[str, str]) -> float:
    return (float(options["x"]) - 2) ** 2 + (float(options["y"]) + 3) ** 2


def figures(folder: Path, values: Sequence[float], *, per_epoch: int = 1) -> Path:
    folder.mkdir()
    rows: list[dict[str, Any]] = [{"epoch": (i + 1) / per_epoch, "val/loss": v} for i, v in enumerate(values)]
    rows.insert(1, {"epoch": 1, "train/loss": 0.1})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_medians_are_those_of_the_best_values_so_far(tmp_path: Path) -> None:
    rng = numpy.random.default_rng(0)
    values = rng.normal(size=(5, 4)).tolist()
    curves = [curve(figures(tmp_path / str(i), row), "val/loss", higher=False) for i, row in enumerate(values)]
    best = numpy.minimum.accumulate(values, axis=1)
    assert medians(curves) == [(epoch + 1, pytest.approx(median(best[:, epoch]))) for epoch in range(4)]


def test_runs_that_are_evaluated_at_other_times_are_compared_by_epoch(tmp_path: Path) -> None:
    each = curve(figures(tmp_path / "a", [4, 3]), "val/loss", higher=False)
    twice = curve(figures(tmp_path / "b", [8, 6, 5, 2], per_epoch=2), "val/loss", higher=False)
    assert medians([each, twice]) == [(0.5, 8), (1, 5), (1.5, 4.5), (2, 2.5)]


def test_a_run_that_can_be_pruned_is_trusted_like_any_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path, square)
    known = Medians(tmp_path / "pruning.json", "val/loss", higher=False)
    job = bench.trials(1, Space({"x": X}, {}, []), medians=known).next()
    assert job
    assert bench.common == {"callbacks": {}}  # other searches may have it, too
    (name, target), *others = targets(job.config)
    assert (name, target, others) == ("callbacks.prune._target_", "dlkit.callbacks.prune.Prune", [])
    assert is_allowed(target)


class Moment:
    """What the callback sees of a run."""

    def __init__(self, epoch: float, value: float, *, done: bool = False) -> None:
        self.epoch, self.best, self.done = epoch, {"metric": "val/accuracy", "value": value}, done
        self.stop = ""


@pytest.mark.parametrize(
    ("moment", "ends"),
    [
        (Moment(2, 0.69), True),
        (Moment(2, 0.70), False),
        (Moment(2, 0.71), False),
        (Moment(2.5, 0.69), True),
        (Moment(0.5, 0.1), False),  # nothing to compare with yet
        (Moment(2, 0.1, done=True), False),
    ],
)
def test_a_run_ends_where_its_best_value_is_worse_than_the_median(tmp_path: Path, moment: Any, ends: bool) -> None:
    path = tmp_path / "pruning.json"
    callback = Prune(medians=str(path))
    moment.folder = tmp_path / "job"
    callback.on_eval(moment, {})
    assert not moment.stop  # the file is missing
    path.write_text(json.dumps({"higher_is_better": True, "medians": [[1, 0.5], [2, 0.7], [3, 0.8]]}))
    moment.folder = tmp_path / "elsewhere" / "job"  # a run that is reproduced
    callback.on_eval(moment, {})
    assert not moment.stop
    moment.folder = tmp_path / "job"
    callback.on_eval(moment, {})
    assert moment.stop.startswith("pruned at epoch") == ends


def test_nothing_is_pruned_before_enough_runs_have_come_to_their_end(tmp_path: Path) -> None:
    known = Medians(tmp_path / "pruning.json", "val/loss", higher=False)
    for i in range(STARTUP):
        assert not known.path.exists()
        known.add(Outcome(f"pruned{i}", "stopped", "pruned at epoch 1: …", 9.0), figures(tmp_path / f"p{i}", [9]))
        known.add(Outcome(f"failed{i}", "failed", "nan"), tmp_path)
        known.add(Outcome(str(i), "finished", "", 1.0), figures(tmp_path / str(i), [i, i]))
    assert json.loads(known.path.read_text())["medians"] == [[1, 2], [2, 2]]


def command(*words: str) -> tuple[str, ...]:
    common = ("data=iris", "callbacks=minimal", "trainer.epochs=1", "trainer.device=cpu", "hydra.launcher.n_jobs=2")
    return ("-m", "hydra/sweeper=optuna", *common, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra.sweeper.sampler=tpa", "model=mlp,logreg"], "hydra.sweeper.sampler=tpa: must be one of tpe, random"),
        (["seed=0,1"], "nothing to search"),
        (["model=mlp,logreg", "hydra.sweeper.direction=maximize"], "callbacks.checkpoint keeps the smallest val/loss"),
        (["model=mlp,logreg", "~callbacks.checkpoint"], "callbacks.checkpoint watches"),
        (["optim.lr=interval(1,0.1)"], "must be below"),
        (["optim.lr=tag(log,interval(-1,1))"], "optim.lr=-1"),  # found by the preflight: an end of the interval
    ],
)
def test_a_search_that_cannot_be_is_answered_in_a_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        train.main([*command(*words)])
    assert end.value.code == 2
    assert said in (line := capsys.readouterr().err.strip()) and "\n" not in line
    assert not list(tmp_path.iterdir())


def test_a_search_from_the_command_line_trains_its_trials_and_names_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = command("optim.lr=tag(log,interval(1e-4,1))", "hydra.sweeper.n_trials=2", "sweep=mine")
    with pytest.raises(SystemExit) as end:
        train.main([*words])
    assert end.value.code == 0
    results = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.rglob("result.json")}
    assert len(results) == 2
    best = min(results, key=lambda name: results[name]["best"]["value"])
    out = capfd.readouterr().out
    assert f"best    val/loss {results[best]['best']['value']:.4f}: {best}\n" in out
    assert f"trainer.device=cpu {best}\n" in out  # the command that trains it again


def test_a_trial_that_a_kill_left_without_owner_is_failed_in_a_storage_of_the_search_alone(tmp_path: Path) -> None:
    study = Search()._study(tmp_path, rises=False)
    study.ask({"x": X})  # killed here: not marked as the search's yet
    (own := study.ask({"x": X})).set_user_attr(SWEEP, "mine")
    again = Search()._study(tmp_path, rises=False)
    assert [trial.state.name for trial in again.trials] == ["FAIL", "RUNNING"]
    assert own.number == 1
    shared = RDBStorage(f"sqlite:///{tmp_path / 'shared.db'}")
    Search(storage=shared)._study(tmp_path, rises=False).ask({"x": X})  # another search's, maybe
    assert [trial.state.name for trial in Search(storage=shared)._study(tmp_path, rises=False).trials] == ["RUNNING"]
    shared.engine.dispose()  # a connection that is left open is a warning, wherever it is collected


@pytest.mark.slow
def test_a_search_whose_launcher_is_killed_goes_on_to_the_trials_that_were_asked_for(tmp_path: Path) -> None:
    words = command("optim.lr=tag(log,interval(1e-4,1))", "seed=0,1", "hydra.sweeper.n_trials=5", "sweep=mine")
    call = [sys.executable, "-m", "dlkit", "train", *words]
    with (tmp_path / "first").open("w") as out:
        process = subprocess.Popen(call, cwd=tmp_path, stdout=out, stderr=out)
        until = monotonic() + 120
        while len(list(tmp_path.rglob("result.json"))) < 3 and monotonic() < until:
            sleep(0.05)
        process.kill()
        process.wait()
    assert 3 <= len(list(tmp_path.rglob("result.json"))) < 10
    subprocess.run(call, cwd=tmp_path, check=True, capture_output=True, timeout=200)
    folder = tmp_path / "outputs" / "sweeps" / "mine"
    assert [json.loads(path.read_text())["status"] for path in folder.glob("*/result.json")] == ["finished"] * 10
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    trials = optuna.load_study(study_name="mine", storage=storage).trials
    states = [trial.state.name for trial in trials]
    assert states.count("COMPLETE") == 5
    assert set(states) <= {"COMPLETE", "FAIL"}  # one that was asked for in the moment of the kill has no job
