"""Every number of a report beside pandas and scipy, on made results."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_sweeps import Swept, end_job, figures, make_sweep
from scipy import stats

from dlkit.sweeps.plan import SAMPLER
from dlkit.sweeps.report import read, table, words
from dlkit.sweeps.report.figures import Report, report
from dlkit.sweeps.report.statistics import Comparison, compare, corrected, estimate, mean_of_means

SWEPT: Swept = {
    "model": ["mlp", "cnn"],
    "optim.lr": ["0.001", "0.01", "0.1"],
    "data.fold": ["0", "1"],
    "seed": ["0", "1", "2"],
}
OPTIONS, REPEATS = ["model", "optim.lr"], ["data.fold", "seed"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """A row for each job: options, figures and costs."""
    generator = np.random.default_rng(0)
    made = pd.MultiIndex.from_product(SWEPT.values(), names=SWEPT.keys()).to_frame(index=False)
    rate = made["optim.lr"].astype(float)
    made["val"] = 0.8 + 0.02 * (made["model"] == "cnn") - rate / 2 + generator.normal(0, 0.01, len(made))
    made["test"] = made["val"] - 0.01 + generator.normal(0, 0.01, len(made))
    made["seconds"] = generator.uniform(1, 9, len(made))
    made["parameters"] = np.where(made["model"] == "cnn", 1000, 50)
    return made


@pytest.fixture(scope="module")
def made(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Report:
    rows = frame.set_index(list(SWEPT))

    def result(job: dict[str, str]) -> dict[str, object]:
        row = rows.loc[tuple(job.values())]
        costs = {"seconds": float(row["seconds"]), "parameters": int(row["parameters"])}
        return figures(float(row["val"]), float(row["test"])) | costs

    return report(read.read(make_sweep(tmp_path_factory.mktemp("sweeps") / "s", SWEPT, result)))


def of(sweep: Path) -> Report:
    return report(read.read(sweep))


def holm(p: list[float]) -> np.ndarray:
    """As Holm's paper steps down: the smallest p times m, the next times m − 1 …, none below the one before it."""
    order = np.argsort(p)
    found = np.empty(len(p))
    found[order] = np.minimum(1, np.maximum.accumulate(np.array(p)[order] * np.arange(len(p), 0, -1)))
    return found


def test_the_csv_has_the_means_deviations_and_counts_of_pandas_best_first(frame: pd.DataFrame, made: Report) -> None:
    rows = pd.DataFrame(table.groups(made)).set_index(OPTIONS)
    wanted = frame.groupby(OPTIONS)[["val", "test"]].agg(["mean", "std", "count"])
    wanted = wanted.sort_values(("val", "mean"), ascending=False)
    assert rows.index.tolist() == wanted.index.tolist()
    for split in ("val", "test"):
        for ours, theirs in (("mean", "mean"), ("std", "std"), ("n", "count")):
            np.testing.assert_allclose(rows[f"{split}/accuracy_{ours}"], wanted[split, theirs], rtol=1e-12)


def test_intervals_are_those_of_student_s_t(frame: pd.DataFrame, made: Report) -> None:
    for group in made.groups:
        jobs = frame[(frame["model"] == group.values["model"]) & (frame["optim.lr"] == group.values["optim.lr"])]
        low, high = stats.t.interval(0.95, len(jobs) - 1, jobs["test"].mean(), jobs["test"].sem())
        assert (group.test.low, group.test.high) == pytest.approx((low, high), rel=1e-12)


def test_p_is_the_paired_t_test_to_the_best_over_seeds_and_folds_corrected_by_holm(
    frame: pd.DataFrame, made: Report
) -> None:
    wide = frame.pivot(index=REPEATS, columns=OPTIONS, values="test")
    best, *others = [tuple(group.values.values()) for group in made.groups]
    wanted = [stats.ttest_rel(wide[other], wide[best]).pvalue for other in others]
    found = [group.comparison for group in made.groups[1:]]
    assert made.groups[0].comparison is None
    assert [one.p for one in found if one] == pytest.approx(wanted, rel=1e-12)
    assert [one.adjusted for one in found if one] == pytest.approx(holm(wanted).tolist(), rel=1e-12)
    assert [one.difference for one in found if one] == pytest.approx(
        [wide[other].mean() - wide[best].mean() for other in others], rel=1e-9
    )
    assert {one.test for one in found if one} == {"paired"}


def test_effects_are_the_marginal_means_of_pandas(frame: pd.DataFrame, made: Report) -> None:
    assert [effect.key for effect in made.effects] == OPTIONS
    for effect in made.effects:
        wanted = frame.groupby(effect.key)[["val", "test"]].mean()
        for level in effect.levels:
            assert (level.val.mean, level.test.mean) == pytest.approx(tuple(wanted.loc[level.value]), rel=1e-12)


def test_the_interval_of_a_marginal_mean_is_that_of_a_contrast_with_welch_s_degrees(frame: pd.DataFrame) -> None:
    first, second = (frame[frame["model"] == model]["val"].to_numpy() for model in ("mlp", "cnn"))
    found = mean_of_means([first.tolist(), (-second).tolist()])  # half the difference, whose interval scipy knows
    low, high = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low / 2, high / 2), rel=1e-9)


def test_costs_are_medians(frame: pd.DataFrame, made: Report) -> None:
    wanted = frame.groupby(OPTIONS)[["seconds", "parameters"]].median()
    for group in made.groups:
        assert (group.seconds, group.parameters) == tuple(wanted.loc[tuple(group.values.values())])


def test_the_best_is_chosen_on_val_and_reported_on_test(tmp_path: Path) -> None:
    def result(job: dict[str, str]) -> dict[str, object]:
        return figures(0.9, 0.7) if job["model"] == "mlp" else figures(0.8, 0.95)

    found = of(make_sweep(tmp_path / "s", {"model": ["cnn", "mlp"], "seed": ["0", "1"]}, result))
    assert found.best is not None and found.best.label == "model=mlp"
    assert (found.chosen_on, found.compared_on, found.best.test.mean) == ("val", "test", 0.7)


def test_of_a_loss_the_least_is_the_best(tmp_path: Path) -> None:
    losses = {"0.1": 0.5, "1": 0.2}
    sweep = make_sweep(
        tmp_path / "s", {"optim.lr": ["0.1", "1"]}, lambda job: {"metrics": {"val/loss": losses[job["optim.lr"]]}}
    )
    best = of(sweep).best
    assert best is not None and best.values == {"optim.lr": "1"}


def test_without_a_validation_split_there_is_no_best_and_the_groups_stand_as_they_came(tmp_path: Path) -> None:
    accuracies = {"mlp": 0.7, "cnn": 0.9}
    swept: Swept = {"model": ["mlp", "cnn"], "seed": ["0", "1"]}
    found = of(make_sweep(tmp_path / "s", swept, lambda job: figures(None, accuracies[job["model"]])))
    assert found.best is None and [group.test.mean for group in found.groups] == [0.7, 0.9]
    assert any("no job has val/accuracy" in note for note in found.notes)


def test_without_a_test_split_the_comparison_on_val_is_said_to_flatter(tmp_path: Path) -> None:
    values = {("a", "0"): 0.5, ("a", "1"): 0.6, ("b", "0"): 0.7, ("b", "1"): 0.9}
    sweep = make_sweep(
        tmp_path / "s",
        {"model": ["a", "b"], "seed": ["0", "1"]},
        lambda job: figures(values[job["model"], job["seed"]], None),
    )
    found = of(sweep)
    assert found.compared_on == "val" and any("flatters" in note for note in found.notes)
    comparison = found.groups[1].comparison
    assert comparison is not None and comparison.p == pytest.approx(stats.ttest_rel([0.5, 0.6], [0.7, 0.9]).pvalue)


def test_failed_killed_and_pruned_jobs_are_counted_but_not_averaged(tmp_path: Path) -> None:
    ends: dict[str, dict[str, object] | None] = {
        "0": figures(0.9, 0.8),
        "1": figures(0.1, 0.1) | {"status": "failed", "reason": "the loss is not finite"},
        "2": figures(0.2, 0.2) | {"status": "stopped", "reason": "pruned at epoch 1"},
        "3": figures(0.3, 0.3) | {"status": "interrupted"},
        "4": None,
        "5": figures(0.7, 0.6) | {"status": "stopped", "reason": "no better for 3 epochs"},
    }
    sweep = make_sweep(tmp_path / "s", {"model": ["mlp"], "seed": list(ends)}, lambda job: ends[job["seed"]])
    (group,) = of(sweep).groups
    assert (group.val.n, group.val.mean) == (2, pytest.approx(0.8))
    assert (group.failed, group.pruned, group.waiting, group.running) == (1, 1, 2, 0)


def test_a_metric_that_is_not_finite_does_not_count(tmp_path: Path) -> None:
    sweep = make_sweep(
        tmp_path / "s", {"seed": ["0", "1"]}, lambda job: figures(0.5 if job["seed"] == "0" else math.nan, 0.5)
    )
    found = of(sweep)
    assert found.groups[0].val.n == 1
    assert any("1 of the jobs that are done have no finite val/accuracy" in note for note in found.notes)


def test_an_effect_averages_only_combinations_with_a_result_for_every_value(tmp_path: Path) -> None:
    values = {("a", "x"): 0.5, ("a", "y"): 0.1, ("b", "x"): 0.7}  # of (b, y) there is nothing: y is not to look bad

    def result(job: dict[str, str]) -> dict[str, object] | None:
        value = values.get((job["model"], job["optim"]))
        return None if value is None else figures(value, value)

    effect, _ = of(make_sweep(tmp_path / "s", {"model": ["a", "b"], "optim": ["x", "y"]}, result)).effects
    assert [level.val.mean for level in effect.levels] == [0.5, 0.7]
    assert (effect.complete, effect.combinations) == (1, 2)


def test_seeds_that_both_have_are_paired_even_where_one_group_lost_some(tmp_path: Path) -> None:
    values = {"a": [0.5, 0.6, 0.55, 0.58], "b": [0.8, 0.7, None, 0.75]}

    def result(job: dict[str, str]) -> dict[str, object]:
        value = values[job["model"]][int(job["seed"])]
        return {"status": "failed", "metrics": {}} if value is None else figures(value, value)

    found = of(make_sweep(tmp_path / "s", {"model": ["a", "b"], "seed": ["0", "1", "2", "3"]}, result))
    comparison = found.groups[1].comparison
    wanted = stats.ttest_rel([0.5, 0.6, 0.58], [0.8, 0.7, 0.75]).pvalue
    assert comparison is not None and comparison.n == 3 and comparison.p == pytest.approx(wanted)


def test_groups_without_seeds_in_common_are_compared_by_welch_s_test() -> None:
    ours, theirs = [0.5, 0.6, 0.7], [0.8, 0.85]
    group = {(str(i),): value for i, value in enumerate(ours)}
    best = {(str(i + 10),): value for i, value in enumerate(theirs)}
    found = compare(group, best)
    assert found is not None and found.test == "Welch"
    assert found.p == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue, rel=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        ([0.5], [0.6, 0.7], "needs two results of each"),
        ([0.5, 0.6], [0.6, 0.7], "the same difference in every repeat"),
        ([0.5, 0.6], [0.5, 0.6], "the same result as the best in every repeat"),
    ],
)
def test_where_there_can_be_no_test_there_is_a_reason_and_no_p(
    ours: list[float], theirs: list[float], why: str
) -> None:
    group, best = ({(str(i),): value for i, value in enumerate(values)} for values in (ours, theirs))
    found = compare(group, best)
    assert found is not None and (found.p, found.why) == (None, why)


def test_each_value_has_its_best_group_on_val_with_the_test_figure_of_that(tmp_path: Path) -> None:
    val = {("sgd", "0.1"): 0.9, ("sgd", "0.01"): 0.5, ("adam", "0.1"): 0.3, ("adam", "0.01"): 0.8}
    test = {("sgd", "0.1"): 0.6, ("sgd", "0.01"): 0.7, ("adam", "0.1"): 0.2, ("adam", "0.01"): 0.75}

    def result(job: dict[str, str]) -> dict[str, object]:
        at = job["optim"], job["optim.lr"]
        return figures(val[at], test[at])

    found = of(make_sweep(tmp_path / "s", {"optim": ["adam", "sgd"], "optim.lr": ["0.1", "0.01"]}, result))
    tuned = [level.tuned for level in found.effects[0].levels]
    assert [(one and one.values["optim.lr"], one and one.test.mean) for one in tuned] == [("0.01", 0.75), ("0.1", 0.6)]


def test_a_group_that_equals_the_best_is_said_to_and_counts_among_those_that_cannot_be_told_from_it(
    tmp_path: Path,
) -> None:
    values = {"sgd": [0.1, 0.12, 0.11], "adam": [0.8, 0.81, 0.83], "adamw": [0.8, 0.81, 0.83]}

    def result(job: dict[str, str]) -> dict[str, object]:
        value = values[job["optim"]][int(job["seed"])]
        return figures(value, value)

    found = of(make_sweep(tmp_path / "s", {"optim": list(values), "seed": ["0", "1", "2"]}, result))
    first, tied, apart = words.answer(found)
    assert first.startswith("Best: optim=adam:")
    assert tied == "On val optim=adamw is as good; the first of them in the table is called the best."
    assert apart.startswith("On test 1 of 2 other groups differs") and apart.endswith("; 1 cannot be told from it.")


def test_holm_leaves_out_those_without_a_p() -> None:
    given = [
        Comparison("paired", 3, 0.1, p=0.02),
        None,
        Comparison("", 2, 0.1, why="…"),
        Comparison("paired", 3, 0, p=0.03),
    ]
    found = corrected(given)
    assert [one and one.adjusted for one in found] == [pytest.approx(0.04), None, None, pytest.approx(0.04)]
    assert found[0] is not None and found[0].significant


def test_of_one_result_there_is_a_mean_and_nothing_else() -> None:
    assert (estimate([0.5]).mean, estimate([0.5]).std, estimate([0.5]).low) == (0.5, None, None)
    assert estimate([]).mean is None


def test_another_metric_can_be_judged_and_an_unknown_one_names_those_there_are(tmp_path: Path) -> None:
    sweep = read.read(make_sweep(tmp_path / "s", {"seed": ["0"]}, lambda job: {}))
    assert report(sweep, "loss").groups[0].test.mean == 0.25
    with pytest.raises(ValueError, match="--metric acc: no job has val/acc or test/acc; there are accuracy, loss"):
        report(sweep, "acc")


def test_a_search_is_judged_by_what_it_optimises(tmp_path: Path) -> None:
    best = {"metric": "val/loss", "value": 0.1}
    folder = make_sweep(
        tmp_path / "s",
        {"optim.lr": ["0.1", "0.2"]},
        lambda job: {"metrics": {"val/loss": float(job["optim.lr"]), "val/accuracy": 0.5}, "best": best},
    )
    assert report(read.read(folder)).metric == "accuracy"
    plan = json.loads((folder / "sweep.json").read_text())
    plan["fixed"][SAMPLER] = "tpe"
    (folder / "sweep.json").write_text(json.dumps(plan))
    assert report(read.read(folder)).metric == "loss"


def test_the_report_of_a_sweep_that_goes_on_follows_the_files(tmp_path: Path) -> None:
    sweep = make_sweep(
        tmp_path / "s", {"seed": ["0", "1"]}, lambda job: figures(0.5, 0.5) if job["seed"] == "0" else None
    )
    assert of(sweep).groups[0].val.n == 1
    end_job(sweep / "seed=1", **figures(0.7, 0.7))
    assert of(sweep).groups[0].val.mean == pytest.approx(0.6)
