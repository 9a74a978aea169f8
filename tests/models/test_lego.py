"""Lego: sizes are inferred, a network is what its list says, what does not fit is named by its number and shapes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn

from dlkit.build import build
from dlkit.cli.preflight import check
from dlkit.models.activations import ACTIVATIONS
from dlkit.models.layers import PIECES
from dlkit.models.lego import lego
from dlkit.models.mlp import mlp
from dlkit.settings import config_folder
from dlkit.summary import parameter_count
from dlkit.types import Spec

TOKENS = Spec("tokens", (12,), 3, "classification", vocab_size=50)
OUT = {"linear": "out"}


def inputs(spec: Spec) -> torch.Tensor:
    if spec.kind == "tokens":
        return torch.randint(0, 50, (5, *spec.input_shape))
    return torch.randn(5, *spec.input_shape)


def test_the_list_of_the_lectures_is_the_mlp_of_the_same_sizes(tabular: Spec) -> None:
    model = lego(tabular, 3, layers=[{"linear": 128}, "relu", {"dropout": 0.5}, OUT]).eval()
    other = mlp(tabular, 3, hidden=(128,), dropout=0.5).eval()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        mine.data = theirs.data
    x = inputs(tabular)
    torch.testing.assert_close(model(x), other(x))


STACKS: list[tuple[str, list[Any], list[tuple[int, ...]]]] = [  # shapes of an example behind every layer
    ("tabular", [{"linear": 6}, "batchnorm", "tanh", "layernorm", OUT], [(6,), (6,), (6,), (6,), (3,)]),
    ("image", [{"conv": 4}, "relu", "pool", OUT], [(4, 8, 8), (4, 8, 8), (4, 4, 4), (3,)]),
    ("image", [{"conv": {"channels": 4, "kernel": 5, "stride": 2}}, "mean", OUT], [(4, 4, 4), (4,), (3,)]),
    ("image", [{"conv": {"channels": 4, "padding": 0}}, "flatten", OUT], [(4, 6, 6), (144,), (3,)]),
    ("image", [{"pool": {"size": 3, "stride": 2, "kind": "avg"}}, {"linear": 5}, OUT], [(1, 3, 3), (5,), (3,)]),
    ("image", [{"conv": 4}, "batchnorm", "layernorm", "softmax", OUT], [(4, 8, 8)] * 4 + [(3,)]),
    (
        "image",
        [{"conv": 4}, "maxout", {"linear": 7}, "dropout", "maxout", OUT],
        [(8, 8, 8), (4, 8, 8), (14,), (14,), (7,), (3,)],
    ),
    ("image", ["columns", {"gru": 6}, OUT], [(8, 8), (6,), (3,)]),
    ("image", [{"conv": 4}, "pool", "columns", {"rnn": 6}, OUT], [(4, 8, 8), (4, 4, 4), (4, 16), (6,), (3,)]),
    (
        "image",
        ["columns", {"lstm": {"units": 6, "sequence": True, "bidirectional": True}}, "mean", OUT],
        [(8, 8), (8, 12), (12,), (3,)],
    ),
    ("image", ["columns", {"linear": 5}, "maxout", {"lstm": 2}, OUT], [(8, 8), (8, 10), (8, 5), (2,), (3,)]),
    (
        "image",
        ["columns", {"conv": 6}, "batchnorm", "softmax", "layernorm", {"pool": 4}, "flatten", OUT],
        [(8, 8), *[(8, 6)] * 4, (2, 6), (12,), (3,)],
    ),
    ("tokens", [{"embedding": 6}, {"lstm": 4}, OUT], [(12, 6), (4,), (3,)]),
    (
        "tokens",
        [{"embedding": 6}, {"conv": 4}, "relu", "mean", OUT],
        [(12, 6), (12, 4), (12, 4), (4,), (3,)],
    ),
]


@pytest.mark.parametrize(
    ("kind", "layers", "shapes"), STACKS, ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_sizes_follow_from_the_layer_before(
    kind: str, layers: list[Any], shapes: list[tuple[int, ...]], tabular: Spec, image: Spec
) -> None:
    spec = {"tabular": tabular, "image": image, "tokens": TOKENS}[kind]
    model, x = lego(spec, 3, layers=layers), inputs(spec)
    assert isinstance(model, nn.Sequential)
    found = []
    for layer in model:
        x = layer(x)
        found.append(tuple(x.shape[1:]))
    assert found == shapes
    assert model.training
    x.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_every_layer_is_in_a_stack_above() -> None:
    used = {entry if isinstance(entry, str) else next(iter(entry)) for _, layers, _ in STACKS for entry in layers}
    assert used >= set(PIECES)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "step"])
def test_every_activation_is_a_layer(name: str, tabular: Spec) -> None:
    assert lego(tabular, 3, layers=[{"linear": 8}, name, OUT])(inputs(tabular)).shape == (5, 3)


def test_layers_of_an_image_and_of_its_columns_do_what_their_names_say() -> None:
    x = torch.arange(24.0).reshape(1, 2, 3, 4)  # two channels, three rows, four columns
    columns = PIECES["columns"](Spec("image", (2, 3, 4), 1, "regression"))(x)
    assert columns[0, 1].tolist() == [1, 5, 9, 13, 17, 21]
    assert PIECES["mean"](Spec("image", (2, 3, 4), 1, "regression"))(x).tolist() == [[5.5, 17.5]]
    assert PIECES["mean"](Spec("hidden", (4, 6), 1, "regression"))(columns)[0, 0].item() == columns[0, :, 0].mean()


def test_layer_norm_is_its_formula_and_its_scales_have_one_axis(image: Spec) -> None:
    norm, x = PIECES["layernorm"](image), torch.randn(5, *image.input_shape)
    v = x.flatten(1)
    expected = (v - v.mean(1, keepdim=True)) / (v.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(norm(x).flatten(1), expected)
    assert all(parameter.ndim == 1 for parameter in norm.parameters())  # so no penalty falls on them


def test_softmax_and_maxout_act_on_the_units_of_every_step() -> None:
    spec, x = Spec("image", (1, 5, 7), 3, "classification"), torch.randn(2, 1, 5, 7)
    model = lego(spec, 3, layers=["columns", "softmax", "mean", OUT])
    assert isinstance(model, nn.Sequential)
    torch.testing.assert_close(model[:2](x), x[:, 0].transpose(1, 2).softmax(-1))
    model = lego(spec, 3, layers=["columns", {"linear": 4}, "maxout", "mean", OUT])
    assert isinstance(model, nn.Sequential)
    wide = model[:2](x)
    torch.testing.assert_close(model[:3](x), torch.maximum(wide[..., :4], wide[..., 4:]))


def test_maxout_counts_its_layer_twice_and_no_other(tabular: Spec) -> None:
    model = lego(tabular, 3, layers=[{"linear": 6}, "maxout", {"linear": 5}, "relu", OUT])
    assert parameter_count(model) == 2 * (4 * 6 + 6) + (6 * 5 + 5) + (5 * 3 + 3)


WRONG: list[tuple[list[Any], str]] = [  # what comes after `model.layers`
    (["rellu", OUT], "layer 1 rellu: no such layer; did you mean relu?"),
    ([OUT, "xyzzy"], "layer 2 xyzzy: no such layer; there are linear, conv, "),
    ([{"linear": 3, "relu": None}], "layer 1: {'linear': 3, 'relu': None} must be one name with its options"),
    ([{}], "layer 1: {} must be one name"),
    (["relu", {"linear": -1}], "layer 2 linear: units=-1 must be a whole number of at least 1 (gets (1, 8, 8))"),
    ([{"linear": "wide"}], "layer 1 linear: units=wide must be a whole number"),
    (
        [{"conv": {"channels": 3, "kernal": 5}}],
        "layer 1 conv: has no option kernal; it has channels, kernel, stride, padding",
    ),
    ([{"conv": {"kernel": 5}}], "layer 1 conv: channels is missing; write {conv: 32}"),
    (["linear"], "layer 1 linear: units is missing; write {linear: 32}"),
    ([{"dropout": 1.5}], "layer 1 dropout: p=1.5 must be a number between 0 and 1"),
    ([{"pool": {"kind": "median"}}], "layer 1 pool: kind=median must be max or avg"),
    ([{"flatten": 3}], "layer 1 flatten: takes no options, but 3 came"),
    ([{"relu": 3}], "layer 1 relu: an activation takes no options, but 3 came"),
    (["columns", {"lstm": {"units": 3, "sequence": 1}}], "layer 2 lstm: sequence=1 must be true or false"),
    ([{"lstm": 8}, OUT], "layer 1 lstm: takes a sequence (T, F); put columns before it"),
    ([{"linear": 8}, {"conv": 8}], "layer 2 conv: takes an image (C, H, W) or a sequence (T, F) (gets (8,))"),
    (
        ["columns", {"lstm": 8}, {"gru": 8}],
        "layer 3 gru: takes a sequence (T, F); a recurrent layer before it gives one with {sequence: true} (gets (8,))",
    ),
    (["columns", "columns"], "layer 2 columns: takes an image (C, H, W) (gets (8, 8))"),
    ([{"embedding": 8}], "layer 1 embedding: takes tokens (T,)"),
    (["maxout", OUT], "layer 1 maxout: must follow a linear or conv layer"),
    ([{"linear": 4}, "relu", "maxout", OUT], "layer 3 maxout: must follow a linear or conv layer"),
    (
        ["pool", "pool", "pool", "pool", OUT],
        "layer 4 pool: Given input size: (1x1x1). Calculated output size: (1x0x0)",
    ),
    ([{"conv": {"channels": 2, "kernel": 9, "padding": 0}}, OUT], "layer 1 conv: Calculated padded input size"),
    (["columns", OUT], "the last layer gives (8, 3), but the loss wants (3,): let the list end with {linear: out}"),
    ([{"linear": 7}], "the last layer gives (7,), but the loss wants (3,)"),
    ([], "the last layer gives (1, 8, 8), but the loss wants (3,)"),
]


@pytest.mark.parametrize(("layers", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_a_wrong_stack_is_explained_in_one_line(layers: list[Any], message: str, image: Spec) -> None:
    with pytest.raises(ValueError) as refusal:
        lego(image, 3, layers=layers)
    assert re.match(rf"model\.layers(, |: ){re.escape(message)}", str(refusal.value))
    assert "\n" not in str(refusal.value)


def test_text_begins_with_an_embedding() -> None:
    with pytest.raises(ValueError, match=r"layer 1 lstm: takes numbers; put \{embedding: 64\} before it"):
        lego(TOKENS, 3, layers=[{"lstm": 8}, OUT])


@pytest.mark.parametrize(
    "layers",
    [
        [{"conv": {"channels": 5, "kernel": 5}}, "sigmoid", {"conv": 4}, "mean"],
        [{"linear": 5}, "layernorm", {"lstm": {"units": 4, "bidirectional": True, "sequence": True}}, {"gru": 3}],
        [{"rnn": {"units": 4, "bidirectional": True}}, "batchnorm"],
    ],
)
def test_the_padding_of_texts_changes_nothing(layers: list[Any]) -> None:
    model = lego(TOKENS, 3, layers=[{"embedding": 6}, *layers, OUT]).eval()
    x = torch.randint(1, 50, (4, 9))
    for row, length in enumerate(lengths := [9, 4, 1, 0]):
        x[row, length:] = 0
    together = model(x)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(model(x[row : row + 1, :length])[0], together[row], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "layer", ["pool", {"conv": {"channels": 3, "kernel": 4}}, {"conv": {"channels": 3, "stride": 2}}, "flatten"]
)
def test_what_changes_a_texts_steps_is_refused(layer: Any) -> None:
    with pytest.raises(ValueError, match=r"layer 2 \w+: a text must keep its steps here, .* model=lstm_text \(gets"):
        lego(TOKENS, 3, layers=[{"embedding": 6}, layer, "mean", OUT])


def test_batch_norm_over_the_steps_of_texts_is_refused() -> None:
    with pytest.raises(ValueError, match="layer 2 batchnorm: would count the padding of texts; take layernorm"):
        lego(TOKENS, 3, layers=[{"embedding": 6}, "batchnorm", "mean", OUT])


def test_recordings_are_refused_with_a_model_that_takes_them() -> None:
    with pytest.raises(ValueError, match="model=lego takes no recordings: try model=cnn_speech"):
        lego(Spec("waveform", (400,), 2, "classification", sample_rate=8000), 2, layers=[{"linear": "out"}])


def test_a_stack_without_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="has weights to train"):
        lego(Spec("tabular", (3,), 3, "classification"), 3, layers=["relu"])


def test_what_comes_after_a_step_warns_of_what_comes_before(tabular: Spec) -> None:
    with pytest.warns(UserWarning, match="step has gradient 0"):
        lego(tabular, 3, layers=[{"linear": 4}, "step", OUT])


def test_a_stack_is_typed_on_the_command_line_and_what_is_no_list_of_layers_is_refused() -> None:
    def mistakes(layers: str) -> list[str]:
        return check(["model=lego", f"model.layers={layers}"], config_folder()).mistakes

    assert mistakes("[{linear:128},relu,{dropout:0.5},{linear:out}]") == []
    assert mistakes("[{conv:{channels:8,kernel:5}},maxout,pool,{linear:out}]") == []
    (line,) = mistakes("relu")
    assert line == "model.layers=relu: must be a list [a,b]; write model.layers=[relu]"
    (line,) = mistakes("[relu,3]")
    assert line.startswith("model.layers[1]=3: must be text or a mapping")


def test_a_typed_stack_builds_with_the_width_of_the_loss(tmp_path: Any) -> None:
    layers = "[{conv:{channels:4,kernel:5}},maxout,{pool:2},{linear:16},batchnorm,gelu,{linear:out}]"
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        cfg = compose("train", ["model=lego", f"model.layers={layers}"])
    model = build(cfg, tmp_path).state.model
    assert isinstance(model, nn.Sequential)
    assert [type(layer).__name__ for layer in model[:3]] == ["Conv2d", "Maxout", "MaxPool2d"]
    assert model(torch.randn(2, 1, 8, 8)).shape == (2, 10)
