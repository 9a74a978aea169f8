"""Parameter groups: which weights decay, and at which rate each layer learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_configs import config
from torch import nn

from dlkit.build import build
from dlkit.callbacks.base import Callback
from dlkit.cli.preflight import check
from dlkit.optim import adamw, sgd
from dlkit.optim.groups import groups
from dlkit.parts import build_optim
from dlkit.settings import config_folder
from dlkit.state import State
from dlkit.trainer import fit


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))


def of(found: list[dict[str, Any]], key: str, default: Any = None) -> dict[str, Any]:
    """The value of a group's key for every parameter."""
    return {name: group.get(key, default) for group in found for name in group["param_names"]}


def test_biases_and_norms_do_not_decay_and_every_parameter_is_in_one_group() -> None:
    model = net()
    decay = of(groups(model, True), "weight_decay", "the optimiser's")
    assert decay == {
        name: "the optimiser's" if name in ("0.weight", "3.weight", "5.weight") else 0.0
        for name, _ in model.named_parameters()
    }


@pytest.mark.parametrize(("decays", "options"), [(True, {"decay_all": True}), (False, {})])
def test_where_all_decay_or_none_there_is_one_group(decays: bool, options: dict[str, bool]) -> None:
    found = groups(net(), decays, **options)  # type: ignore[arg-type]
    assert len(found) == 1
    assert "weight_decay" not in found[0]


def test_a_bias_stays_where_the_loss_is_flat_and_a_weight_shrinks() -> None:
    model = nn.Linear(3, 2)
    nn.init.ones_(model.weight), nn.init.ones_(model.bias)
    optimiser = adamw(groups(model, True), lr=0.1, weight_decay=0.5)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimiser.step()
    torch.testing.assert_close(model.weight.detach(), torch.full((2, 3), 0.95))
    assert (model.bias == 1).all()


@pytest.mark.parametrize("pattern", ["0", "0.*", "0.weight"])
def test_a_pattern_scales_the_rate_of_the_parameters_that_it_fits(pattern: str) -> None:
    scales = of(groups(net(), False, lr_scale={pattern: 0.1}), "lr_scale")
    fitting = {"0.weight"} if pattern == "0.weight" else {"0.weight", "0.bias"}
    assert {name for name, scale in scales.items() if scale == 0.1} == fitting
    assert {scale for name, scale in scales.items() if name not in fitting} == {1.0}


def test_of_several_patterns_the_last_that_fits_counts_and_keys_may_be_numbers() -> None:
    scales = of(groups(net(), False, lr_scale={"*": 0.5, 3: 0.1, "3.bias": 0}), "lr_scale")  # type: ignore[dict-item]
    assert (scales["0.weight"], scales["3.weight"], scales["3.bias"]) == (0.5, 0.1, 0)


def test_layers_below_learn_more_slowly_by_a_power_of_the_decay_and_a_norm_as_its_layer() -> None:
    scales = of(groups(net(), False, layer_decay=0.5), "lr_scale")
    assert scales == {
        **dict.fromkeys(["5.weight", "5.bias"], 1.0),
        **dict.fromkeys(["3.weight", "3.bias"], 0.5),
        **dict.fromkeys(["0.weight", "0.bias", "1.weight", "1.bias"], 0.25),
    }


def test_both_factors_multiply_and_the_group_at_the_base_rate_is_first() -> None:
    found = groups(net(), True, layer_decay=0.5, lr_scale={"0": 0.1})
    assert of(found, "lr_scale")["0.weight"] == pytest.approx(0.025)
    assert found[0]["lr_scale"] == 1


def test_frozen_parameters_are_in_no_group() -> None:
    model = net()
    model[0].requires_grad_(False)  # type: ignore[index]
    assert not any(name.startswith("0.") for name in of(groups(model, True), "lr_scale"))


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ({"9.*": 1}, r"optim\.lr_scale: 9\.\* fits no parameter .*0\.weight"),
        ({"0": -1}, r"optim\.lr_scale\.0=-1: must be"),
        ({"0": "x"}, r"optim\.lr_scale\.0=x: must be"),
        ({"0": True}, "must be a number"),
    ],
)
def test_a_pattern_that_fits_nothing_and_a_factor_that_is_none_are_refused(scale: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        groups(net(), True, lr_scale=scale)


def test_the_options_reach_the_optimiser_and_the_schedule_multiplies_every_groups_own_rate(tmp_path: Path) -> None:
    overrides = ["optim.lr_scale={1.*:0.1}", "optim=adamw", "optim.lr=0.01", "trainer.max_steps=4", "scheduler=cosine"]
    run = build(config(*overrides, "model.hidden=[8]"), tmp_path)
    rates: list[dict[str, float]] = []

    class Watch(Callback):
        def on_grad(self, state: State) -> None:
            rates.append(of(state.optim.param_groups, "lr"))

    fit(run.state, run.engine, run.data, run.schedule, [Watch()], eval_every=9, log_every=9)
    assert [r["3.weight"] for r in rates] == pytest.approx([0.01 * run.schedule(step) for step in range(4)])
    assert all(r["1.weight"] == pytest.approx(0.1 * r["3.weight"]) for r in rates)


def test_an_optimiser_of_torchs_own_takes_the_groups_too() -> None:
    model = net()
    cfg = config("optim=sgd", "optim._target_=torch.optim.RAdam", "optim.weight_decay=0.1", "optim.layer_decay=0.5")
    optimiser = build_optim(cfg, model)
    assert isinstance(optimiser, torch.optim.RAdam)
    assert sorted({group["initial_lr"] for group in optimiser.param_groups}) == [0.025, 0.05, 0.1]
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.0, 0.1}


def test_moments_follow_their_parameters_when_a_resume_groups_them_otherwise(tmp_path: Path) -> None:
    def state(**options: Any) -> State:
        torch.manual_seed(0)
        model = net()
        optimiser = adamw(groups(model, True, **options), lr=0.01)
        return State(model, optimiser, None, tmp_path, 9, 1, 1)  # type: ignore[arg-type]

    before, after = state(), state(layer_decay=0.5)
    before.model(torch.randn(6, 4)).square().sum().backward()
    before.optim.step()
    after._load_optim(before.optim.state_dict())
    for p, q in zip(before.model.parameters(), after.model.parameters(), strict=True):
        assert torch.equal(before.optim.state[p]["exp_avg"], after.optim.state[q]["exp_avg"])


def test_gd_takes_the_whole_split_unless_the_command_line_says_otherwise() -> None:
    assert config("optim=gd").data.batch_size == "full"
    assert config("optim=gd", "data=wine").data.batch_size == "full"
    assert config("optim=gd", "data.batch_size=8").data.batch_size == 8
    assert config("optim=sgd", "data=wine").data.batch_size == 16
    assert "data" not in config("optim=gd").optim


def test_gd_makes_one_update_an_epoch(tmp_path: Path) -> None:
    run = build(config("optim=gd", "data=iris", "trainer.epochs=3"), tmp_path)
    assert (run.state.total_steps, run.state.batch_size) == (3, run.data.split_sizes["train"])


def test_factors_by_name_can_be_typed() -> None:
    checked = check(["optim.lr_scale={0.*:0.1,head:2}", "optim=sgd"], config_folder())
    assert checked.mistakes == []
    assert checked.config is not None
    assert dict(checked.config.optim.lr_scale) == {"0.*": 0.1, "head": 2}


def test_a_step_with_sgd_moves_each_group_by_its_own_rate() -> None:
    model = net()
    optimiser = sgd(groups(model, False, lr_scale={"5": 2}), lr=0.1)
    for group in optimiser.param_groups:
        group["lr"] *= group["lr_scale"]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimiser.step()
    for name, p in model.named_parameters():
        moved = 0.2 if name.startswith("5.") else 0.1
        torch.testing.assert_close(before[name] - p.detach(), torch.full_like(p, moved))
