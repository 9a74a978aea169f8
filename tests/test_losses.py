"""Losses against hand values, identities, torch and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from math import e, log, log2
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from test_configs import CHOICES, NUMBERS, config
from test_engine import CPU, Drawn, Unit, make_engine, train
from torch import Tensor, nn

from dlkit.build import build
from dlkit.engine import Engine
from dlkit.guard import Guard, NonFinite
from dlkit.losses import BinaryCrossEntropy, CrossEntropy, Focal, Huber, Mae, Mse, auto, exponential, logistic
from dlkit.making import make
from dlkit.metrics import metrics_for, zero_one
from dlkit.models.mlp import mlp
from dlkit.settings import config_folder
from dlkit.trainer import fit
from dlkit.types import Batch, Loss, Spec

LN3 = torch.tensor([[0.0, log(3.0)]])  # softmax (1/4, 3/4)
MARGIN = ["margin_quadratic", "hinge", "perceptron", "margin_sigmoid", "logistic", "exponential"]
CLASSES = [name for name in CHOICES["loss"] if name not in NUMBERS]


def spec(classes: int, counts: tuple[int, ...] = ()) -> Spec:
    names = tuple("abcdefghij"[:classes])
    return Spec("tabular", (4,), classes, "classification", classes=names, class_counts=counts)


def choice(group: str, name: str) -> DictConfig:
    """The file of a choice; composing takes longer."""
    file = cast(DictConfig, OmegaConf.load(config_folder() / group / f"{name}.yaml"))
    return cast(DictConfig, file.get(group, file))  # what sets more than its own group writes the group's name


def loss_of(name: str, data: Spec) -> Loss:
    """The loss of that config."""
    return make(choice("loss", name))(data)


def suitable(name: str, dtype: torch.dtype = torch.float32, classes: int = 3) -> tuple[Loss, Tensor, Tensor]:
    """A loss with outputs and targets of ten examples."""
    data = Spec("tabular", (4,), 2, "regression") if name in NUMBERS else spec(classes)
    loss = loss_of(name, data)
    y = torch.randn(10, 2).to(dtype) if name in NUMBERS else torch.arange(10) % classes
    return loss, torch.randn(10, loss.outputs).to(dtype), y


# Cross-entropy


@pytest.mark.parametrize(("y", "expected"), [(0, log(4)), (1, log(4 / 3))])
def test_cross_entropy_is_minus_the_logarithm_of_the_true_class_probability(y: int, expected: float) -> None:
    assert CrossEntropy(spec(2))(LN3, torch.tensor([y])).item() == pytest.approx(expected)


def test_label_smoothing_moves_its_mass_to_all_classes_alike() -> None:
    smooth = CrossEntropy(spec(2), label_smoothing=0.2)  # target (0.9, 0.1)
    assert smooth(LN3, torch.tensor([0])).item() == pytest.approx(0.9 * log(4) + 0.1 * log(4 / 3))


def test_smoothing_classes_equals_smoothed_distributions() -> None:
    out, y = torch.randn(6, 5), torch.randint(5, (6,))
    target = 0.7 * torch.eye(5)[y] + 0.3 / 5
    torch.testing.assert_close(CrossEntropy(spec(5), label_smoothing=0.3)(out, y), CrossEntropy(spec(5))(out, target))


def test_cross_entropy_of_a_distribution_with_itself_is_its_entropy() -> None:
    p = torch.tensor([[0.5, 0.25, 0.25]])
    assert CrossEntropy(spec(3))(p.log(), p).item() == pytest.approx(1.5 * log(2))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, "balanced", [1.0, 5.0, 0.5]])
def test_cross_entropy_of_mixed_classes_is_the_mix_of_their_cross_entropies(weights: Any, smoothing: float) -> None:
    loss = CrossEntropy(spec(3, (30, 20, 10)), label_smoothing=smoothing, class_weights=weights)
    out, a, b = torch.randn(8, 3), torch.randint(3, (8,)), torch.randint(3, (8,))
    mixed = 0.3 * torch.eye(3)[a] + 0.7 * torch.eye(3)[b]
    torch.testing.assert_close(loss(out, mixed), 0.3 * loss(out, a) + 0.7 * loss(out, b))


@pytest.mark.parametrize("classes", [2, 3])
def test_binary_cross_entropy_of_mixed_classes_is_the_mix_too(classes: int) -> None:
    loss = BinaryCrossEntropy(spec(classes))
    out, a, b = torch.randn(8, loss.outputs), torch.randint(classes, (8,)), torch.randint(classes, (8,))
    mixed = 0.3 * torch.eye(classes)[a] + 0.7 * torch.eye(classes)[b]
    torch.testing.assert_close(loss(out, mixed), 0.3 * loss(out, a) + 0.7 * loss(out, b))


@pytest.mark.parametrize("name", [*MARGIN, "focal"])
def test_losses_that_take_no_shares_of_classes_say_so_in_one_line(name: str) -> None:
    loss, out, y = suitable(name)
    with pytest.raises(ValueError, match=rf"loss={name} takes no shares .*data.augment.mixup.*cross_entropy") as caught:
        loss(out, torch.eye(3)[y])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_building_a_run_refuses_mixing_with_a_margin_loss(mixing: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="loss=hinge takes no shares of classes"):
        build(config("model=logreg", "loss=hinge", f"data.augment.{mixing}=0.2"), tmp_path)
    build(config("model=logreg", "loss=mse", f"data.augment.{mixing}=0.2"), tmp_path)


def test_cross_entropy_equals_log_loss_of_scikit_learn() -> None:
    from sklearn.metrics import log_loss

    out, y = torch.randn(50, 3, dtype=torch.float64), torch.arange(50) % 3
    loss = CrossEntropy(spec(3))
    assert loss(out, y).mean().item() == pytest.approx(log_loss(y.numpy(), loss.probabilities(out).numpy()))


def test_cross_entropy_does_not_overflow() -> None:
    out = torch.tensor([[1000.0, -1000.0]])
    assert CrossEntropy(spec(2))(out.expand(2, 2), torch.tensor([0, 1])).tolist() == [0.0, 2000.0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", ["balanced", [1.0, 5.0, 0.5]])
@pytest.mark.parametrize("size", [7, 60])
def test_over_the_training_split_weighted_cross_entropy_is_torchs_weighted_mean_in_batches_of_any_length(
    size: int, weights: Any, smoothing: float
) -> None:
    from sklearn.utils.class_weight import compute_class_weight

    counts = (30, 20, 10)
    y = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))[torch.randperm(60)]
    out = torch.randn(60, 3)
    theirs = weights
    if weights == "balanced":
        theirs = compute_class_weight("balanced", classes=np.arange(3), y=y.numpy())
    loss = CrossEntropy(spec(3, counts), label_smoothing=smoothing, class_weights=weights)
    sums = [loss(o, t).sum() for o, t in zip(out.split(size), y.split(size), strict=True)]
    expected = F.cross_entropy(out, y, torch.tensor(theirs).float(), label_smoothing=smoothing)
    torch.testing.assert_close(torch.stack(sums).sum() / 60, expected)


def test_a_factor_on_all_class_weights_changes_nothing() -> None:
    out, y = torch.randn(9, 3), torch.arange(9) % 3
    one, ten = (CrossEntropy(spec(3, (4, 3, 2)), class_weights=[k, 2 * k, 3 * k]) for k in (1.0, 10.0))
    torch.testing.assert_close(one(out, y), ten(out, y))


def test_equal_class_weights_are_none() -> None:
    out, y = torch.randn(9, 3), torch.arange(9) % 3
    equal = CrossEntropy(spec(3, (4, 3, 2)), class_weights=[7, 7, 7])
    torch.testing.assert_close(equal(out, y), CrossEntropy(spec(3))(out, y))


@pytest.mark.parametrize(
    ("weights", "counts", "words"),
    [
        ([1.0, 2.0], (4, 3, 2), "loss.class_weights has 2 numbers, but this data has 3 classes"),
        ([0.0, 0.0, 1.0], (4, 3, 0), "no training example would have a weight above 0"),
        ("balanced", (4, 0, 2), "loss.class_weights=balanced: no training example of class b"),
    ],
)
def test_class_weights_that_do_not_suit_the_classes_are_refused(weights: Any, counts: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CrossEntropy(spec(3, counts), class_weights=weights)


# Focal


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_is_cross_entropy_times_a_power_of_the_chance_to_be_wrong(gamma: float) -> None:
    out, y = torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 4
    p = out.softmax(1)[torch.arange(9), y]
    torch.testing.assert_close(Focal(spec(4), gamma=gamma)(out, y), -((1 - p) ** gamma) * p.log())


@pytest.mark.parametrize("gamma", [0.1, 1.0, 5.0])
def test_the_gradient_of_focal_is_finite_where_the_class_is_certain(gamma: float) -> None:
    out = torch.tensor([[90.0, 0.0, 0.0], [0.0, 200.0, 0.0]], requires_grad=True)
    Focal(spec(3), gamma=gamma)(out, torch.tensor([0, 1])).sum().backward()
    assert out.grad is not None
    assert out.grad.isfinite().all()


# Margins and one logit


@pytest.mark.parametrize("margin", [-2.0, 0.0, 0.5, 1.0, 3.0])
def test_margin_losses_are_the_formulas(margin: float) -> None:
    expected = {
        "margin_quadratic": (1 - margin) ** 2,
        "hinge": max(1 - margin, 0),
        "perceptron": max(-margin, 0),
        "margin_sigmoid": 2 / (1 + e**margin),
        "logistic": log2(1 + e**-margin),
        "exponential": e**-margin,
    }
    for name in MARGIN:
        of_both = loss_of(name, spec(2))(torch.tensor([[margin], [-margin]]), torch.tensor([1, 0]))
        assert of_both.tolist() == pytest.approx([expected[name]] * 2, rel=1e-6)


@pytest.mark.parametrize("name", [*MARGIN, "bce"])
def test_one_vs_rest_is_the_sum_of_a_problem_for_each_class(name: str) -> None:
    out, y = torch.randn(12, 4), torch.arange(12) % 4
    alone = [loss_of(name, spec(2))(out[:, [k]], (y == k).long()) for k in range(4)]
    torch.testing.assert_close(loss_of(name, spec(4))(out, y), torch.stack(alone).sum(0))


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("name", MARGIN)
def test_margin_losses_but_the_perceptrons_are_never_below_the_0_1_loss(name: str, classes: int) -> None:
    loss = loss_of(name, spec(classes))
    out, y = 2 * torch.randn(500, loss.outputs), torch.arange(500) % classes
    above = loss(out, y) >= zero_one(out, y)
    assert bool(above.all()) is (name != "perceptron")


def test_the_mean_hinge_loss_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import hinge_loss

    out, y = torch.randn(30, 1), torch.arange(30) % 2
    assert loss_of("hinge", spec(2))(out, y).mean().item() == pytest.approx(hinge_loss(y.numpy(), out[:, 0].numpy()))


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "mse"])
def test_losses_that_compare_classes_have_an_output_for_each_of_two(name: str) -> None:
    assert loss_of(name, spec(2)).outputs == 2


@pytest.mark.parametrize("name", [*MARGIN, "bce"])
def test_losses_of_a_sign_have_one_output_for_two_classes_and_k_for_more(name: str) -> None:
    assert (loss_of(name, spec(2)).outputs, loss_of(name, spec(3)).outputs) == (1, 3)


def test_bce_of_one_logit_is_the_two_way_softmax_on_0_and_z_in_value_gradient_and_probabilities() -> None:
    z = (3 * torch.randn(20, 1)).requires_grad_()
    y = torch.arange(20) % 2
    two = torch.cat([torch.zeros_like(z), z], 1)
    one, softmax = BinaryCrossEntropy(spec(2)), CrossEntropy(spec(2))
    torch.testing.assert_close(one(z, y), softmax(two, y))
    torch.testing.assert_close(one.probabilities(z), softmax.probabilities(two))
    ours, theirs = (torch.autograd.grad(loss.sum(), z)[0] for loss in (one(z, y), softmax(two, y)))
    torch.testing.assert_close(ours, theirs)


def test_the_logistic_loss_is_bce_in_bits() -> None:
    out, y = torch.randn(20, 1), torch.arange(20) % 2
    bce = BinaryCrossEntropy(spec(2))
    torch.testing.assert_close(logistic(spec(2))(out, y), bce(out, y) / log(2))
    torch.testing.assert_close(logistic(spec(2)).probabilities(out), bce.probabilities(out))


def test_bce_takes_several_labels_at_a_time_as_torch_does() -> None:
    out, y = torch.randn(8, 5), (torch.rand(8, 5) < 0.4).float()
    expected = F.binary_cross_entropy_with_logits(out, y, reduction="none").sum(1)
    torch.testing.assert_close(BinaryCrossEntropy(spec(5))(out, y), expected)


def test_bce_of_one_logit_takes_distributions_over_the_two_classes() -> None:
    out, p = torch.randn(8, 1), torch.rand(8, 1)
    expected = F.binary_cross_entropy_with_logits(out, p, reduction="none")[:, 0]
    torch.testing.assert_close(BinaryCrossEntropy(spec(2))(out, torch.cat([1 - p, p], 1)), expected)


def test_the_probit_link_is_the_normal_distribution_function() -> None:
    from sklearn.metrics import log_loss

    out, y = torch.randn(20, 1, dtype=torch.float64), torch.arange(20) % 2
    p = torch.distributions.Normal(0.0, 1.0).cdf(out[:, 0])
    loss = BinaryCrossEntropy(spec(2), link="probit")
    torch.testing.assert_close(loss.probabilities(out), torch.stack([1 - p, p], 1))
    assert loss(out, y).mean().item() == pytest.approx(log_loss(y.numpy(), p.numpy()))


def test_the_gradient_of_the_probit_loss_is_right_far_out() -> None:
    z = torch.tensor([[-1e4], [-200.0]], requires_grad=True)
    BinaryCrossEntropy(spec(2), link="probit")(z, torch.tensor([1, 1])).sum().backward()
    assert z.grad is not None
    assert z.grad[:, 0].tolist() == pytest.approx([-1e4, -200.0], rel=1e-3)  # φ(z)/Φ(z) -> −z


@pytest.mark.parametrize("p", [0.1, 0.5, 0.93])
@pytest.mark.parametrize("name", ["logistic", "exponential", "bce", "probit"])
def test_probabilities_are_those_for_which_the_output_makes_the_expected_loss_least(name: str, p: float) -> None:
    loss: Loss = BinaryCrossEntropy(spec(2), link="probit") if name == "probit" else loss_of(name, spec(2))
    low, high = torch.tensor([[-20.0]]), torch.tensor([[20.0]])
    for _ in range(60):  # the output that stands for p
        middle = (low + high) / 2
        low, high = (middle, high) if loss.probabilities(middle)[0, 1] < p else (low, middle)
    z = middle.double().requires_grad_()
    expected = p * loss(z, torch.tensor([1])) + (1 - p) * loss(z, torch.tensor([0]))
    assert torch.autograd.grad(expected.sum(), z)[0].item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("name", ["cross_entropy", "focal", "bce", "logistic", "exponential"])
def test_probabilities_are_positive_and_sum_to_one(name: str, classes: int) -> None:
    loss = loss_of(name, spec(classes))
    p = loss.probabilities(200 * torch.randn(30, loss.outputs))
    assert p.shape == (30, classes)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(1), torch.ones(30))


@pytest.mark.parametrize("name", ["hinge", "perceptron", "margin_quadratic", "margin_sigmoid", "mse", "mae", "huber"])
def test_losses_without_probabilities_say_so_by_name(name: str) -> None:
    loss, out, _ = suitable(name)
    with pytest.raises(ValueError, match=f"^loss={name} gives no probabilities"):
        loss.probabilities(out)


# Numbers


def test_mse_is_the_mean_over_the_outputs(regression: Spec) -> None:
    out, y = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [0.0, 3.0]])
    assert Mse(regression)(out, y).tolist() == [2.5, 4.5]


def test_mse_takes_classes_as_one_hot_vectors() -> None:
    out = torch.tensor([[1.0, 0.0, 2.0]])
    assert Mse(spec(3))(out, torch.tensor([1])).item() == pytest.approx((1 + 1 + 4) / 3)


def test_mae_and_huber_are_torchs(regression: Spec) -> None:
    out, y = 3 * torch.randn(20, 2), torch.randn(20, 2)
    torch.testing.assert_close(Mae(regression)(out, y), F.l1_loss(out, y, reduction="none").mean(1))
    expected = F.huber_loss(out, y, reduction="none", delta=0.7).mean(1)
    torch.testing.assert_close(Huber(regression, delta=0.7)(out, y), expected)


@pytest.mark.parametrize("make_loss", [Mse, Mae, Huber])
def test_errors_refuse_targets_that_would_broadcast(make_loss: Callable[[Spec], Loss], regression: Spec) -> None:
    with pytest.raises(AssertionError, match="would broadcast"):
        make_loss(regression)(torch.zeros(5, 1), torch.zeros(5))


# Every loss


@pytest.mark.parametrize("name", CHOICES["loss"])
def test_the_loss_of_an_example_does_not_depend_on_its_batch(name: str) -> None:
    loss, out, y = suitable(name)
    parts = [loss(out[i : i + 3], y[i : i + 3]) for i in range(0, 10, 3)]
    torch.testing.assert_close(torch.cat(parts), loss(out, y))


@pytest.mark.parametrize("name", CHOICES["loss"])
def test_replicas_at_once_have_the_losses_of_each(name: str) -> None:
    loss, out, y = suitable(name)
    outs = torch.stack([out, -out, 2 * out])
    together = torch.func.vmap(loss, in_dims=(0, None))(outs, y)
    torch.testing.assert_close(together, torch.stack([loss(one, y) for one in outs]))


@pytest.mark.parametrize("size", [10.0, 1e3, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", [*CHOICES["loss"], "probit"])
def test_losses_and_gradients_are_finite_for_large_outputs(
    name: str, classes: int, dtype: torch.dtype, size: float
) -> None:
    loss, out, y = suitable("bce" if name == "probit" else name, dtype, classes)
    loss = BinaryCrossEntropy(spec(classes), link="probit") if name == "probit" else loss
    out = (size * out.sign()).requires_grad_()
    values = loss(out, y)
    values.sum().backward()
    assert out.grad is not None
    fine = bool(values.isfinite().all() and out.grad.isfinite().all())
    assert fine is (name != "exponential" or size == 10)


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ("auto", "mse")])
def test_losses_of_classes_refuse_numbers_and_a_single_class(name: str, regression: Spec) -> None:
    with pytest.raises(ValueError, match=rf"^loss={name} needs classes, .*: try loss=mse$"):
        loss_of(name, regression)
    with pytest.raises(ValueError, match=f"^loss={name} needs two classes or more, but this data has 1$"):
        loss_of(name, spec(1))


@pytest.mark.parametrize("name", NUMBERS)
def test_losses_of_numbers_refuse_classes(name: str) -> None:
    with pytest.raises(ValueError, match=f"^loss={name} needs numbers as targets, .* try loss=cross_entropy$"):
        loss_of(name, spec(3))


def test_auto_takes_the_usual_loss_of_the_task(tabular: Spec, regression: Spec) -> None:
    assert isinstance(auto(tabular), CrossEntropy)
    assert isinstance(auto(regression), Mse)
    assert (auto(tabular).outputs, auto(regression).outputs) == (3, 2)


RATES = {"gd": 0.02, "sgd": 0.02, "momentum": 0.005}  # of those whose steps are as large as the gradient


@pytest.mark.parametrize("optim", CHOICES["optim"])
@pytest.mark.parametrize("name", CHOICES["loss"])
def test_every_loss_falls_under_every_optimiser(name: str, optim: str, tmp_path: Path) -> None:
    data = Drawn(Spec("tabular", (4,), 2, "regression") if name in NUMBERS else spec(3))
    loss, node = loss_of(name, data.spec), choice("optim", optim)
    node.lr = RATES.get(optim, 0.01)
    engine = make_engine(tmp_path, mlp(data.spec, loss.outputs, hidden=(16,)), make(node), data=data)
    engine.loss = loss
    batch = data.examples(32, 0)
    train(engine, [batch] * 20)
    losses = torch.stack(engine.state.losses)
    assert losses.isfinite().all()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["cross_entropy", "bce", "hinge"])
def test_two_classes_are_learnt_from_two_logits_or_one(name: str, tmp_path: Path) -> None:
    run = build(config(f"loss={name}", "data=synthetic", "data.noise=0.05", "trainer.max_steps=300"), tmp_path)
    fit(run.state, run.engine, run.data, run.schedule, eval_every=300, log_every=300)
    assert run.state.metrics["val/accuracy"] > 0.95
    assert ("val/zero_one" in run.state.metrics) is (name == "hinge")


# What has a way of its own


class Points(Drawn):
    """Two classes parted by a line through the origin."""

    def __init__(self) -> None:
        super().__init__(spec(2))
        self.encoder = Unit()


def one_logit(folder: Path, loss: Loss, *, scale: float = 0.0, **options: Any) -> Engine:
    """An engine for a linear model of one logit with all weights `scale`."""
    model = nn.Linear(4, 1)
    nn.init.constant_(model.weight, scale)
    nn.init.zeros_(model.bias)
    engine = make_engine(folder, model, lambda p: torch.optim.SGD(p, lr=1.0), data=Points())
    return Engine(engine.state, loss, metrics_for(engine.state.spec), device=CPU, **options)


def test_the_perceptron_loss_is_zero_at_w_0_and_descent_is_rosenblatts_rule_from_there(tmp_path: Path) -> None:
    engine = one_logit(tmp_path, loss_of("perceptron", spec(2)))
    x, y = Points().examples(30, 0)
    assert engine.measure(engine.state.model, Batch(x, y))[1]["loss"].item() == 0
    w, b = torch.zeros(4), torch.zeros(1)
    for i in range(30):
        sign = 2 * y[i] - 1
        if sign * (x[i] @ w + b) <= 0:
            w, b = w + sign * x[i], b + sign
        train(engine, [Batch(x[i : i + 1], y[i : i + 1])])
    assert w.abs().sum() > 0
    ours = list(engine.state.model.parameters())
    torch.testing.assert_close(ours[0][0], w)
    torch.testing.assert_close(ours[1], b)


@pytest.mark.parametrize("deferred", [False, True])
def test_the_overflow_of_the_exponential_loss_is_named(tmp_path: Path, deferred: bool) -> None:
    engine = one_logit(tmp_path, exponential(spec(2)), scale=1.0)
    assert engine.guard is not None
    engine.guard = Guard(engine.state.model, engine.state.optim, deferred=deferred, overflow=engine.overflow)
    x = torch.full((2, 4), -23.0)  # outputs −92
    with pytest.raises(NonFinite, match=r"^the loss is not finite at step 1 \(loss=exponential: e⁻ᴹ overflows .* −88;"):
        train(engine, [Batch(x, torch.tensor([1, 1]))])
        engine.check()
    assert engine.state.model.weight.tolist() == [[1.0] * 4]


def test_a_margin_of_minus_80_is_no_overflow(tmp_path: Path) -> None:
    assert exponential(spec(2))(torch.tensor([[-80.0]]), torch.tensor([1])).item() == pytest.approx(e**80, rel=1e-5)
