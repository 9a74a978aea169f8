"""The average of the weights against a loop written out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_engine import Drawn, make_engine, small, take, train
from torch import nn

from dlkit.ema import Ema
from dlkit.trainer import evaluate


def test_the_average_follows_a_loop_written_out(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small())
    ema = engine.state.parts["ema"] = Ema(engine.state.model, 0.8)
    mean = [p.detach().double() for p in engine.state.model.parameters()]
    for t, batch in enumerate(take(Drawn(), 40), start=1):
        train(engine, [batch])
        d = min(0.8, (1 + t) / (10 + t))
        mean = [
            d * m + (1 - d) * p.detach().double() for m, p in zip(mean, engine.state.model.parameters(), strict=True)
        ]
    for ours, expected in zip(ema.model.parameters(), mean, strict=True):
        torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("decay", "step", "kept"), [(0.999, 1, 2 / 11), (0.999, 90, 0.91), (0.5, 90, 0.5)])
def test_the_decay_rises_with_the_updates_up_to_its_limit(decay: float, step: int, kept: float) -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    ema = Ema(model, decay)
    nn.init.zeros_(model.weight)
    ema.update(step)
    assert ema.model.weight.item() == pytest.approx(kept)


def test_buffers_are_copied_not_averaged(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small(batch_norm=True))
    ema = engine.state.parts["ema"] = Ema(engine.state.model, 0.9)
    train(engine, take(Drawn(), 3))
    for ours, theirs in zip(ema.model.buffers(), engine.state.model.buffers(), strict=True):
        assert torch.equal(ours, theirs)
    assert ema.model[2].num_batches_tracked == 3


def test_the_average_is_what_is_evaluated_and_the_model_stays_raw(tmp_path: Path) -> None:
    data, engine, raw = Drawn(), make_engine(tmp_path, small()), make_engine(tmp_path, small())
    engine.state.parts["ema"] = Ema(engine.state.model, 0.9)
    for made in (engine, raw):
        train(made, take(data, 20))
    for ours, theirs in zip(engine.state.model.parameters(), raw.state.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    averaged, plain = (evaluate(made, made.state.eval_model, data.eval("val"), "val") for made in (engine, raw))
    assert averaged["val/loss"] != plain["val/loss"]
    raw.state.model.load_state_dict(engine.state.parts["ema"].state_dict())
    assert evaluate(raw, raw.state.eval_model, data.eval("val"), "val") == averaged


def test_the_average_needs_no_gradient_and_shares_no_memory() -> None:
    model = small()
    ema = Ema(model, 0.9)
    assert not any(p.requires_grad for p in ema.model.parameters())
    assert {p.data_ptr() for p in ema.model.parameters()}.isdisjoint(p.data_ptr() for p in model.parameters())
