"""What a sweep is called, and what its file holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlkit.sweeps.plan import Plan, job_name, opened, place, sweep_name


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_job_has_the_name_of_its_swept_options() -> None:
    assert job_name({"model": "mlp", "seed": "0"}) == "model=mlp,seed=0"


def test_names_that_no_folder_can_have_stay_apart() -> None:
    names = {job_name({"data.root": text}) for text in ("a/b", "a:b", "a b", "[a,b]", "x" * 300, "x" * 301)}
    assert len(names) == 6
    assert all(len(name) <= 120 and not set(name) & set("/: []") for name in names)


def test_a_sweeps_name_says_what_is_fixed_and_what_is_swept_but_not_what_only_names_it() -> None:
    fixed = {"trainer.epochs": "5", "data": "iris", "tags": "[a]"}
    assert sweep_name(fixed, ["model", "seed"]) == "data=iris,trainer.epochs=5-by-model,seed"


@pytest.mark.parametrize("name", ["..", ".", "a/../..", "./"])
def test_a_sweep_is_named_below_the_folder_of_sweeps(name: str) -> None:
    with pytest.raises(ValueError, match=r"^sweep=.*: must be the name of a folder in outputs/sweeps$"):
        place(name, {}, [])


def test_where_nothing_is_fixed_or_swept_the_sweep_has_a_folder_of_its_own() -> None:
    assert place(None, {}, []) == Path("outputs/sweeps/default")
    assert place("a/b", {}, []) == Path("outputs/sweeps/a/b")


def made(*jobs: str, fixed: dict[str, str] | None = None, swept: tuple[str, ...] = ("model", "seed")) -> Plan:
    """The plan in the folder `s`, after a command that asks for these jobs."""
    Path("s").mkdir(exist_ok=True)
    plan = opened(Path("s"), list(jobs), fixed or {}, swept)
    for job in jobs:
        plan.add(job.split())
    plan.write(Path("s"))
    return plan


def test_values_that_are_added_add_jobs_and_leave_the_others_as_they_were() -> None:
    before = made("model=mlp seed=0", "model=mlp seed=1").jobs
    after = made("model=mlp seed=1", "model=cnn seed=1")
    assert after.jobs == [*before, {"name": "model=cnn,seed=1", "overrides": {"model": "cnn", "seed": "1"}}]
    assert after.swept == {"model": ["mlp", "cnn"], "seed": ["0", "1"]}
    assert Plan.read(Path("s")) == after


def test_options_stand_in_the_order_of_the_sweeps_first_command() -> None:
    made("model=mlp seed=0")
    assert made("seed=0 model=mlp", swept=("seed", "model")).jobs == [
        {"name": "model=mlp,seed=0", "overrides": {"model": "mlp", "seed": "0"}}
    ]


def test_other_swept_options_are_another_sweep() -> None:
    made("model=mlp seed=0")
    with pytest.raises(ValueError, match=r"s: is a sweep over model, seed, this is one over model; .* sweep=NAME"):
        made("model=mlp", swept=("model",))


@pytest.mark.parametrize(
    "key", ["trainer.epochs", "final.weights", "optim.lr", "init_from", "callbacks.early_stop.patience"]
)
def test_another_value_for_all_jobs_is_another_sweep(key: str) -> None:
    made("model=mlp seed=0", fixed={key: "5"})
    with pytest.raises(ValueError, match=rf"s: is a sweep with {key}=5, this one has {key}=\(its default\)"):
        made("model=mlp seed=0")


@pytest.mark.parametrize("key", ["trainer.device", "data.root", "tags", "sweep"])
def test_the_machine_and_names_may_change(key: str) -> None:
    jobs = made("model=mlp seed=0", fixed={key: "5"}).jobs
    assert made("model=mlp seed=0").jobs == jobs


def test_commands_that_ask_for_the_same_are_noted_once_with_the_last_way_to_run_them() -> None:
    for command in (
        ["seed=0,1"],
        ["hydra.launcher.n_jobs=2", "seed=0,1"],
        ["seed=2"],
        ["hydra/launcher=slurm", "seed=0,1", "trainer.threads=1"],
    ):
        Path("s").mkdir(exist_ok=True)
        opened(Path("s"), command, {}, ["seed"]).write(Path("s"))
    plan = Plan.read(Path("s"))
    assert plan is not None
    assert plan.commands == [["seed=2"], ["hydra/launcher=slurm", "seed=0,1", "trainer.threads=1"]]


def test_a_plan_that_is_damaged_is_none_and_is_not_written_over() -> None:
    made("model=mlp seed=0")
    Path("s/sweep.json").write_text('{"name":')
    assert Plan.read(Path("s")) is None
    with pytest.raises(ValueError, match=r"sweep\.json cannot be read"):
        opened(Path("s"), [], {}, ["model", "seed"])
