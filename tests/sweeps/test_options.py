"""What a sweep is asked for, parted into what all jobs share and what is swept."""

from __future__ import annotations

from hydra.core.override_parser.overrides_parser import OverridesParser

from dlkit.sweeps.options import Options


def options(*texts: str) -> Options:
    return Options(OverridesParser.create().parse_overrides(list(texts)))


def test_what_has_one_value_is_fixed_and_what_has_several_is_swept() -> None:
    asked = options("model=mlp,cnn", "optim.lr=0.1", "+callbacks.x=1", "seed=range(2)", "model.hidden=[8,9]")
    assert asked.fixed == ["optim.lr=0.1", "+callbacks.x=1", "model.hidden=[8,9]"]
    assert asked.keys == ["model", "seed"]


def test_of_a_key_that_is_given_twice_the_last_counts() -> None:
    assert options("seed=0,1", "optim.lr=0.1", "seed=3").fixed == ["seed=3", "optim.lr=0.1"]
    assert options("seed=3", "seed=0,1").combinations() == [["seed=0"], ["seed=1"]]


def test_a_job_has_every_option_in_the_order_in_which_they_were_given() -> None:
    jobs = options("seed=0,1", "optim.lr=0.1", "model=mlp,cnn").combinations()
    assert jobs == [
        [seed, "optim.lr=0.1", model] for seed in ("seed=0", "seed=1") for model in ("model=mlp", "model=cnn")
    ]
    assert options("optim.lr=0.1").combinations() == [["optim.lr=0.1"]]
    assert options().fixed == []
