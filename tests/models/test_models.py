"""Models: shapes for all choices, parameters, what they refuse, dropout."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
import torch
from torch import nn

from dlkit.models.activations import Activation
from dlkit.models.cnn import cnn
from dlkit.models.linear import linear, logreg
from dlkit.models.mlp import mlp
from dlkit.summary import parameter_count
from dlkit.types import Spec

NAMES: list[Activation] = [name for name in get_args(Activation) if name != "step"]
TOKENS = Spec("tokens", (20,), 2, "classification", vocab_size=100)


def inputs(spec: Spec, count: int = 5) -> torch.Tensor:
    return torch.randn(count, *spec.input_shape)


@pytest.mark.parametrize(("activation", "batch_norm", "dropout"), list(product(NAMES, (False, True), (0.0, 0.3))))
def test_every_choice_gives_one_row_of_outputs_an_example(
    tabular: Spec, image: Spec, activation: Activation, batch_norm: bool, dropout: float
) -> None:
    for spec, model in (
        (tabular, mlp(tabular, 7, hidden=(6, 5), activation=activation, dropout=dropout, batch_norm=batch_norm)),
        (image, mlp(image, 7, hidden=(6,), activation=activation, dropout=dropout, batch_norm=batch_norm)),
        (image, cnn(image, 7, channels=(3, 4), activation=activation, dropout=dropout, batch_norm=batch_norm)),
    ):
        out = model(inputs(spec))
        assert out.shape == (5, 7)
        out.sum().backward()
        assert all(p.grad is not None for p in model.parameters())


def test_logistic_regression_has_a_weight_a_feature_and_class_and_a_bias_a_class(tabular: Spec, image: Spec) -> None:
    assert parameter_count(logreg(tabular, 3)) == 4 * 3 + 3
    assert parameter_count(logreg(image, 10)) == 64 * 10 + 10


def test_logistic_regression_is_affine(image: Spec) -> None:
    model, x, z = logreg(image, 3), inputs(image), inputs(image)
    torch.testing.assert_close(model(0.3 * x + 0.7 * z), 0.3 * model(x) + 0.7 * model(z))


def test_an_mlp_of_matrices_is_written_out_by_hand(tabular: Spec) -> None:
    model, x = mlp(tabular, 2, hidden=(6,), activation="tanh"), inputs(tabular)
    w1, b1, w2, b2 = model.parameters()
    torch.testing.assert_close(model(x), (x @ w1.T + b1).tanh() @ w2.T + b2)


def test_an_mlp_without_hidden_layers_is_logistic_regression(tabular: Spec) -> None:
    model, linear = mlp(tabular, 3, hidden=()), logreg(tabular, 3)
    linear.load_state_dict(model.state_dict())
    x = inputs(tabular)
    assert torch.equal(model(x), linear(x))


def test_stacked_layers_without_an_activation_stay_affine_and_relu_does_not(tabular: Spec) -> None:
    x, z = inputs(tabular), inputs(tabular)
    for activation, affine in (("identity", True), ("relu", False)):
        model = mlp(tabular, 3, hidden=(8, 8), activation=activation)  # type: ignore[arg-type]
        mixed, mean = model((x + z) / 2), (model(x) + model(z)) / 2
        assert torch.allclose(mixed, mean, atol=1e-6) is affine


def test_a_cnn_has_the_parameters_of_its_layers(image: Spec) -> None:
    model = cnn(image, 10, channels=(4, 6), kernel_size=5, hidden=(12,))
    conv = (4 * 25 + 4) + (6 * 4 * 25 + 6)
    dense = (6 * 2 * 2 * 12 + 12) + (12 * 10 + 10)  # 8x8 halved twice
    assert parameter_count(model) == conv + dense


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (2, 9, 13)])
def test_a_cnn_takes_images_of_any_size_and_depth(shape: tuple[int, int, int]) -> None:
    spec = Spec("image", shape, 4, "classification")
    assert cnn(spec, 4, channels=(2, 3, 4), hidden=())(inputs(spec)).shape == (5, 4)


def test_convolution_and_pooling_forget_a_shift_by_the_whole_stride() -> None:
    spec = Spec("image", (1, 16, 16), 2, "classification")
    features = nn.Sequential(*list(cnn(spec, 2, channels=(3,)).children())[:3])  # conv, activation, pool
    x = torch.zeros(1, 1, 16, 16)
    x[..., 4:8, 4:8] = torch.randn(4, 4)
    torch.testing.assert_close(features(x.roll(4, 3)), features(x).roll(2, 3))


def test_batch_norm_takes_the_place_of_the_bias(tabular: Spec, image: Spec) -> None:
    for model in (mlp(tabular, 3, batch_norm=True), cnn(image, 3, hidden=(), batch_norm=True)):
        layers = [m for m in model if isinstance(m, nn.Linear | nn.Conv2d)]
        assert all(layer.bias is None for layer in layers[:-1])
        assert layers[-1].bias is not None


def test_dropout_is_off_in_evaluation_and_on_in_training(tabular: Spec, image: Spec) -> None:
    for spec, model in ((tabular, mlp(tabular, 3, dropout=0.5)), (image, cnn(image, 3, dropout=0.5))):
        x = inputs(spec)
        assert not torch.equal(model(x), model(x))
        model.eval()
        assert torch.equal(model(x), model(x))


def test_dropout_keeps_the_expectation_and_zeroes_the_given_share() -> None:
    wide = Spec("tabular", (1,), 1, "regression")
    model = mlp(wide, 1, hidden=(10_000,), activation="identity", dropout=0.3)
    hidden = model[:-1]  # type: ignore[index]
    nn.init.ones_(model[1].weight)  # type: ignore[index,arg-type]
    nn.init.zeros_(model[1].bias)  # type: ignore[index,arg-type]
    dropped = hidden(torch.ones(10, 1))
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert (hidden.eval()(torch.ones(10, 1)) == 1).all()


def test_no_dropout_leaves_no_layer_behind(tabular: Spec, image: Spec) -> None:
    for model in (mlp(tabular, 3), cnn(image, 3)):
        assert not any(isinstance(layer, nn.Dropout) for layer in model.modules())


def test_a_cnn_refuses_tables_and_names_the_mlp(tabular: Spec) -> None:
    with pytest.raises(ValueError, match=r"model=cnn takes images.*tabular.*model=mlp"):
        cnn(tabular, 3)


def test_a_cnn_refuses_images_that_cannot_be_halved_so_often(image: Spec) -> None:
    cnn(image, 3, channels=(2, 2, 2))
    with pytest.raises(ValueError, match=r"model\.channels=.*4 times.*8x8"):
        cnn(image, 3, channels=(2, 2, 2, 2))


def test_a_cnn_refuses_an_even_kernel(image: Spec) -> None:
    with pytest.raises(ValueError, match=r"model\.kernel_size=4"):
        cnn(image, 3, kernel_size=4)


@pytest.mark.parametrize(("model", "name"), [(mlp, "model=mlp"), (linear, "a linear model"), (cnn, "model=cnn")])
def test_dense_models_refuse_tokens_by_name(model, name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=f"{name} takes .*tokens"):
        model(TOKENS, 2)
