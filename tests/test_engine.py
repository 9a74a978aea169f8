"""One step and one measurement, against plain torch. The small data set and builder here serve other tests as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkit.engine import Engine
from dlkit.losses import auto
from dlkit.metrics import metrics_for
from dlkit.models.cnn import cnn
from dlkit.models.mlp import mlp
from dlkit.optim import adam, sgd
from dlkit.regularizers import l2
from dlkit.rng import stream
from dlkit.state import State
from dlkit.types import Batch, Penalty, Spec

TABULAR = Spec("tabular", (4,), 3, "classification", classes=("a", "b", "c"), class_counts=(8, 8, 8))
CPU = torch.device("cpu")


class Unit:
    """An encoder with one number as its state."""

    def __init__(self) -> None:
        self.scale = torch.ones(1)

    def state_dict(self) -> dict[str, Tensor]:
        return {"scale": self.scale}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.scale = state["scale"]


class Drawn:
    """Data whose batch k is drawn from a stream seeded by k; a fixed matrix, or numbers, as targets."""

    def __init__(self, spec: Spec = TABULAR, *, batch_size: int = 8, steps_per_epoch: int = 5, val: int = 20):
        self.spec, self.batch_size, self.steps_per_epoch = spec, batch_size, steps_per_epoch
        self.split_sizes = {"train": batch_size * steps_per_epoch} | ({"val": val} if val else {})
        self.encoder = Unit()

    def examples(self, count: int, *keys: int) -> Batch:
        x = torch.randn(count, *self.spec.input_shape, generator=stream(*keys))
        flat = x.flatten(1)
        scores = flat @ torch.randn(flat.shape[1], self.spec.num_outputs, generator=stream(99))
        return Batch(x, scores.argmax(1) if self.spec.task == "classification" else scores)

    def train(self, step: int) -> Iterator[Batch]:
        while True:
            yield self.examples(self.batch_size, 1, step)
            step += 1

    def eval(self, split: str) -> Iterator[Batch]:
        """In parts of 7, the last one short."""
        x, y = self.examples(self.split_sizes[split], 2)
        for start in range(0, len(y), 7):
            yield Batch(x[start : start + 7], y[start : start + 7])

    def fingerprint(self) -> str:
        return "drawn"


def make_engine(
    folder: Path,
    model: nn.Module,
    make_optim: Callable[[Iterable[Tensor]], torch.optim.Optimizer] = lambda p: adam(p, lr=0.01),
    penalty: Penalty | None = None,
    *,
    data: Drawn | None = None,
    total_steps: int = 20,
    **options: Any,
) -> Engine:
    """An engine and its state around `model`, as `build` makes them."""
    data = data or Drawn()
    optim = make_optim(model.parameters())
    for group in optim.param_groups:
        group["initial_lr"] = group["lr"]
    state = State(model, optim, data.spec, folder, total_steps, data.steps_per_epoch, data.batch_size)
    state.parts["encoder"] = data.encoder
    return Engine(state, auto(data.spec), metrics_for(data.spec), penalty, **{"device": CPU, **options})


def take(data: Drawn, steps: int) -> list[Batch]:
    return list(islice(data.train(0), steps))


def gradients(model: nn.Module) -> list[Tensor]:
    grads = [p.grad for p in model.parameters()]
    return [g.clone() for g in grads if g is not None]


def train(engine: Engine, batches: Iterable[Batch]) -> list[Tensor]:
    """Steps over the batches; gives the gradients of the last."""
    for batch in batches:
        engine.backward(batch)
        engine.update()
        engine.state.step += 1
    return gradients(engine.state.model)


def small(**options: Any) -> nn.Module:
    """The same little network at every call."""
    torch.manual_seed(5)
    return mlp(TABULAR, 3, hidden=(16,), **options)


def assert_same(ours: nn.Module, other: nn.Module) -> None:
    """Every parameter and buffer is bitwise the same."""
    pairs = list(zip(ours.state_dict().items(), other.state_dict().items(), strict=True))
    assert [name for (name, a), (_, b) in pairs if not torch.equal(a, b)] == []


def test_twenty_steps_are_bitwise_those_of_a_plain_torch_loop(tmp_path: Path) -> None:
    engine, plain = make_engine(tmp_path, small()), small()
    optim = torch.optim.Adam(plain.parameters(), lr=0.01, fused=True)
    losses = []
    for batch in take(Drawn(), 20):
        optim.zero_grad()
        loss = F.cross_entropy(plain(batch.x), batch.y)
        loss.backward()
        optim.step()
        losses.append(loss.item())
        train(engine, [batch])
        assert all(torch.equal(a, b) for a, b in zip(gradients(engine.state.model), gradients(plain), strict=True))
    assert_same(engine.state.model, plain)
    assert torch.stack(engine.state.losses).tolist() == pytest.approx(losses, rel=1e-6)


@pytest.mark.parametrize("parts", [2, 3, 4, 7])
def test_accumulating_parts_equals_the_whole_batch_also_where_they_are_ragged(tmp_path: Path, parts: int) -> None:
    batch = Drawn(batch_size=10).examples(10, 0)
    whole = make_engine(tmp_path, small(), penalty=l2(gamma=0.1))
    cut = make_engine(tmp_path, small(), penalty=l2(gamma=0.1), accumulate=parts)
    for a, b in zip(train(whole, [batch]), train(cut, [batch]), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(whole.state.losses, cut.state.losses)


def test_parts_differ_by_at_most_one_example_so_that_batch_norm_never_meets_a_single_one(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small(batch_norm=True), accumulate=3)
    assert [len(part.y) for part in engine._parts(Drawn().examples(7, 0))] == [3, 2, 2]


def test_the_penalty_is_in_the_gradient_but_not_in_the_logged_loss(tmp_path: Path) -> None:
    batch = Drawn().examples(8, 0)
    plain, penalised = make_engine(tmp_path, small()), make_engine(tmp_path, small(), penalty=l2(gamma=0.5))
    model = small()
    expected = [
        g + (p.detach() if p.ndim > 1 else 0) for g, p in zip(train(plain, [batch]), model.parameters(), strict=True)
    ]
    for ours, g in zip(train(penalised, [batch]), expected, strict=True):
        torch.testing.assert_close(ours, g)
    assert penalised.read_log()["train/loss"] == plain.read_log()["train/loss"]


def test_the_log_is_the_mean_loss_since_the_last_one_and_the_accuracy_of_the_last_batch(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small(), lambda p: sgd(p, lr=1e-12))  # the weights stand still
    batches = take(Drawn(), 5)
    outs = [(small()(x), y) for x, y in batches]
    losses = [F.cross_entropy(out, y).item() for out, y in outs]
    train(engine, batches[:2])
    assert engine.read_log()["train/loss"] == pytest.approx(sum(losses[:2]) / 2)
    train(engine, batches[2:])
    figures = engine.read_log()
    assert figures["train/loss"] == pytest.approx(sum(losses[2:]) / 3)
    assert figures["train/accuracy"] == (outs[-1][0].argmax(1) == outs[-1][1]).float().mean().item()


def test_measuring_gives_sums_and_leaves_no_graph(tmp_path: Path) -> None:
    engine, batch = make_engine(tmp_path, small()), Drawn().examples(8, 0)
    found, sums = engine.measure(engine.state.model, batch)
    out = small()(batch.x)
    assert torch.equal(found, out)
    assert sums["loss"].item() == pytest.approx(F.cross_entropy(out, batch.y, reduction="sum").item())
    assert sums["accuracy"].item() == (out.argmax(1) == batch.y).sum().item()
    assert all(value.dtype is torch.float64 and not value.requires_grad for value in sums.values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_half_the_bits_and_gives_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    engine, x = make_engine(tmp_path, small(), dtype=dtype), Drawn().examples(8, 0).x
    seen: list[torch.dtype] = []
    engine.state.model[-1].register_forward_hook(lambda m, i, out: seen.append(out.dtype))  # type: ignore[index]
    out = engine.forward(engine.state.model, x)
    assert (out.dtype, seen) == (torch.float32, [dtype])
    assert not torch.equal(out, small()(x))
    torch.testing.assert_close(out, small()(x), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_trains_nearly_as_float32_does(tmp_path: Path, dtype: torch.dtype) -> None:
    full, half = make_engine(tmp_path, small()), make_engine(tmp_path, small(), dtype=dtype)
    batches = take(Drawn(), 12)
    train(full, batches)
    train(half, batches)
    assert all(p.dtype is torch.float32 for p in half.state.model.parameters())
    assert half.read_log()["train/loss"] == pytest.approx(full.read_log()["train/loss"], rel=0.02)


def test_only_float16_has_a_scaler_and_its_gradients_are_unscaled_before_they_are_clipped(tmp_path: Path) -> None:
    batch = Drawn().examples(8, 0)
    engine, full = make_engine(tmp_path, small(), dtype=torch.float16), make_engine(tmp_path, small())
    assert full.scaler is None
    assert engine.state.parts["scaler"] is engine.scaler
    engine.backward(batch)
    full.backward(batch)
    for half, g in zip(gradients(engine.state.model), gradients(full.state.model), strict=True):
        torch.testing.assert_close(half, g, rtol=0.02, atol=0.002)


def test_a_float16_step_whose_gradient_overflows_is_skipped_and_the_scale_halved(tmp_path: Path) -> None:
    engine, before = make_engine(tmp_path, small(), dtype=torch.float16), small()
    assert engine.scaler is not None
    x, y = Drawn().examples(8, 0)
    engine.backward(Batch(x * 1e4, y))
    scale = engine.scaler.get_scale()
    engine.update()
    assert_same(engine.state.model, before)
    assert engine.scaler.get_scale() == scale / 2


def test_an_image_model_in_channels_last_ends_with_the_weights_of_the_usual_layout(tmp_path: Path, image: Spec) -> None:
    data = Drawn(image)
    ends = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        model = cnn(image, 3, channels=(4, 6), hidden=(8,)).to(memory_format=memory_format)  # type: ignore[call-overload]
        engine = make_engine(tmp_path, model, data=data)
        train(engine, [Batch(x.contiguous(memory_format=memory_format), y) for x, y in take(data, 10)])
        ends.append(model)
    assert ends[1][3].weight.stride() != ends[0][3].weight.stride()
    for a, b in zip(ends[0].parameters(), ends[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_regression_is_logged_with_its_own_figures(tmp_path: Path, regression: Spec) -> None:
    data = Drawn(regression)
    engine = make_engine(tmp_path, mlp(regression, 2, hidden=()), data=data)
    train(engine, take(data, 2))
    figures = engine.read_log()
    assert list(figures) == ["train/loss", "train/r2", "train/rmse", "train/mae", "train/grad_norm"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_step_on_a_gpu_never_waits_for_it(tmp_path: Path) -> None:
    device = torch.device("cuda")
    engine = make_engine(tmp_path, small(batch_norm=True).to(device), penalty=l2(gamma=0.1), device=device)
    batches = [Batch(x.to(device), y.to(device)) for x, y in take(Drawn(), 5)]
    train(engine, batches[:1])
    torch.cuda.set_sync_debug_mode("error")
    try:
        train(engine, batches[1:])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert engine.read_log()["train/loss"] > 0
