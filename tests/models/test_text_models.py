"""Text classifiers: padding changes no prediction, each computes its formula, and learns what its kind can learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from dlkit.inits import default, finish, kaiming, lsuv, orthogonal
from dlkit.models.cnn_text import CnnText, cnn_text
from dlkit.models.fasttext import FastText, fasttext
from dlkit.models.recurrent_text import recurrent_text
from dlkit.models.sequence import Cell, Pooling
from dlkit.summary import layers
from dlkit.types import Batch, Spec

SPEC = Spec("tokens", (9,), 3, "classification", vocab_size=50)
LENGTHS = [9, 5, 2, 1, 0]
Make = Callable[[], nn.Module]


def recurrent(cell: str, pooling: str, both: bool, depth: int = 2) -> Make:
    def make() -> nn.Module:
        options = {"embedding_size": 16, "units": 12, "dropout": 0.1}
        return recurrent_text(
            SPEC, 3, cell=cell, pooling=pooling, bidirectional=both, layers=depth, **options  # type: ignore[arg-type]
        )  # fmt: skip

    return make


RECURRENT: dict[str, Make] = {
    f"{cell}, {pooling}, {'both directions' if both else 'forwards'}": recurrent(cell, pooling, both)
    for cell in get_args(Cell)
    for pooling in get_args(Pooling)
    for both in (False, True)
}
OTHERS: dict[str, Make] = {
    "cnn": lambda: cnn_text(SPEC, 3, embedding_size=16, channels=7, embedding_dropout=0.1, word_dropout=0.1),
    "cnn of even and wide windows": lambda: cnn_text(SPEC, 3, embedding_size=16, channels=7, widths=[1, 2, 12]),
    "fasttext": lambda: fasttext(SPEC, 3, ngrams=3, buckets=100, dropout=0.1, word_dropout=0.1),
    "fasttext of words": lambda: fasttext(SPEC, 3, ngrams=1),
}
FEW = {"lstm": recurrent("lstm", "attention", True), "gru": recurrent("gru", "last", False), **OTHERS}


def texts() -> Tensor:
    """Five texts of LENGTHS, padded."""
    x = torch.randint(1, 50, (len(LENGTHS), max(LENGTHS)))
    for row, length in zip(x, LENGTHS, strict=True):
        row[length:] = 0
    return x


def larger(model: nn.Module) -> nn.Module:
    """With weights large enough that a step of padding would show."""
    for parameter in model.parameters():
        parameter.data *= 2
    return model.eval()


@pytest.mark.parametrize("make", [*RECURRENT.values(), *OTHERS.values()], ids=[*RECURRENT, *OTHERS])
def test_a_text_alone_gives_what_it_gives_in_a_padded_batch(make: Make) -> None:
    model, x = larger(make()), texts()
    together, wider = model(x), model(F.pad(x, (0, 20)))
    assert together.shape == (5, 3)
    assert together[:3].std(0).min() > 1e-3  # so the texts do count
    torch.testing.assert_close(wider, together, rtol=0, atol=1e-5)
    for i, length in enumerate(LENGTHS):
        torch.testing.assert_close(model(x[i : i + 1, :length])[0], together[i], rtol=0, atol=1e-5)


@pytest.mark.parametrize("make", FEW.values(), ids=FEW)
def test_padding_gets_no_gradient_and_stays_zeros_in_training(make: Make) -> None:
    model = make()
    (table,) = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    optim = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optim.zero_grad()
        model(texts()).square().sum().backward()
        optim.step()
    assert not table.weight[0].any()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("make", FEW.values(), ids=FEW)
def test_half_precision_gives_nearly_the_same(make: Make) -> None:
    model, x = make().eval(), texts()
    with torch.autocast("cpu", torch.bfloat16):
        out = model(x).float()
        out.square().sum().backward()
    torch.testing.assert_close(out, model(x), rtol=0.05, atol=0.02)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:Converting a tensor")
@pytest.mark.parametrize("make", FEW.values(), ids=FEW)
def test_a_traced_model_takes_batches_of_other_shapes(make: Make) -> None:
    model = make().eval()
    traced, other = torch.jit.trace(model, texts()), torch.randint(1, 50, (3, 14))
    torch.testing.assert_close(traced(other), model(other))


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_several_models_run_as_one_under_vmap(make: Make) -> None:  # torch has no rule for recurrent layers
    models, x = [make().eval() for _ in range(2)], texts()
    parameters, buffers = stack_module_state(models)  # type: ignore[arg-type]
    out = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    torch.testing.assert_close(out, torch.stack([model(x) for model in models]))


@pytest.mark.parametrize("make", FEW.values(), ids=FEW)
@pytest.mark.parametrize("init", [default, orthogonal, lsuv, kaiming])
def test_every_init_fills_them_and_leaves_the_padding_zero(init: Callable[..., None], make: Make) -> None:
    model, x = make(), texts()
    init(model, Batch(x, torch.zeros(5)), **({"gain": "auto"} if init is kaiming else {}))
    (table,) = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    assert not table.weight[0].any()
    assert model(x).isfinite().all()


def test_forget_biases_of_all_layers_and_directions_are_set() -> None:
    model = recurrent("lstm", "max", True)()
    finish(model, forget_bias=1.0)
    lstms = [module for module in model.modules() if isinstance(module, nn.LSTM)]
    assert len(lstms) == 4
    for lstm in lstms:
        assert lstm.bias_ih_l0[12:24].tolist() == [1] * 12
        assert lstm.bias_hh_l0[12:24].tolist() == [0] * 12


def test_the_summary_shows_every_layer_with_what_it_gives() -> None:
    rows, _ = layers(recurrent("lstm", "attention", True)(), texts())
    shown = {row.name: (row.kind, row.output, row.parameters) for row in rows}
    assert shown["words.embedding"] == ("Embedding", (5, 9, 16), 50 * 16)
    assert shown["recurrent.backward_layers.1"] == ("LSTM", (5, 9, 12), 4 * 12 * (24 + 12 + 2))
    assert shown["head.1"] == ("Linear", (5, 3), 24 * 3 + 3)
    rows, _ = layers(OTHERS["cnn"](), texts())
    assert [row.output for row in rows if row.kind == "Conv1d"] == [(5, 7, 9)] * 3


def test_the_convolutions_are_those_of_one_window_at_a_time() -> None:
    model = larger(cnn_text(SPEC, 3, embedding_size=6, channels=4, widths=[3, 4]))
    assert isinstance(model, CnnText)
    text = torch.randint(1, 50, (7,))
    vectors = model.words.embedding(text)
    features = []
    for conv in model.convolutions:
        (width,) = conv.kernel_size  # type: ignore[misc]
        outputs = []
        for middle in range(7):
            out = conv.bias.clone()  # type: ignore[operator]
            for i in range(width):
                place = middle - (width - 1) // 2 + i
                if 0 <= place < 7:
                    out = out + conv.weight[:, :, i] @ vectors[place]  # type: ignore[index]
            outputs.append(out.relu())
        features.append(torch.stack(outputs).amax(0))
    head = model.head[1]  # type: ignore[index]
    torch.testing.assert_close(model(text[None])[0], head(torch.cat(features)))


def bag(model: nn.Module, tokens: list[int], n: int) -> list[int]:
    assert isinstance(model, FastText)
    return model.grams(torch.tensor([tokens]), n)[0].tolist()


def test_ngrams_are_hashed_by_their_words_and_order_and_never_across_the_end() -> None:
    model = fasttext(SPEC, 3, buckets=1000)
    first = bag(model, [5, 6, 7, 5, 6, 0, 0], 2)
    assert first[0] == first[3]  # 5 6, twice
    assert len(set(first[:4])) == 3
    assert first[4:] == [0, 0, 0]
    assert bag(model, [6, 5], 2)[0] != bag(model, [5, 6], 2)[0]
    assert bag(model, [5, 6], 2) == [first[0], 0]
    assert bag(fasttext(SPEC, 3, buckets=1000), [5, 6], 2) == [first[0], 0]
    assert bag(model, [5, 6], 3) == [0, 0]
    assert all(50 <= row < 1050 for row in first[:4])
    factor, modulus = 1_103_515_245, 2**31 - 1
    assert bag(model, [5, 6, 7], 3)[0] == 50 + ((5 * factor + 6) * factor + 7) % modulus % 1000


def test_ngrams_spread_over_the_buckets_at_least_as_chance_would_have_them() -> None:
    spec = Spec("tokens", (9,), 3, "classification", vocab_size=60_000)
    buckets = 4096
    model = fasttext(spec, 3, embedding_size=1, buckets=buckets)
    assert isinstance(model, FastText)
    for high in (64, 60_000):  # words close together, as frequent ones are, and far apart
        pairs = torch.cartesian_prod(torch.arange(1, 65), torch.arange(1, 65)) * (high // 64)
        used = len(model.grams(pairs, 2)[:, 0].unique())
        assert used > 0.95 * buckets * (1 - math.exp(-len(pairs) / buckets))


def test_fasttext_is_a_linear_layer_on_the_mean_of_all_vectors() -> None:
    model = fasttext(SPEC, 3, embedding_size=8, buckets=100).eval()
    assert isinstance(model, FastText)
    rows = [4, 9, 4, *bag(model, [4, 9, 4], 2)[:2]]
    torch.testing.assert_close(
        model(torch.tensor([[4, 9, 4, 0]]))[0], model.head(model.embedding.weight[rows].mean(0))
    )  # fmt: skip


def test_words_left_out_count_neither_in_the_sum_nor_in_the_mean() -> None:
    model = fasttext(SPEC, 3, ngrams=1, word_dropout=0.5)
    assert isinstance(model, FastText)
    model.head = nn.Identity()
    out = model(torch.full((200, 3), 7))
    for row in out:
        assert torch.allclose(row, model.embedding.weight[7]) or not row.any()  # none was left in one of eight
    assert 5 < int((out == 0).all(1).sum()) < 60


def fit(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> float:
    """Accuracy on the examples trained on."""
    optim = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optim.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optim.step()
    return (model.eval()(x).argmax(1) == y).float().mean().item()


def first_or_second(adjacent: bool) -> tuple[Tensor, Tensor]:
    """Texts of 3 to 9 words with one 1 and one 2 in them; the class is which of them comes first."""
    x, y = torch.zeros(96, 9, dtype=torch.long), torch.randint(0, 2, (96,))
    for row, swapped in zip(x, y.tolist(), strict=True):
        length = int(torch.randint(3, 10, ()))
        row[:length] = torch.randint(3, 6, (length,))
        i, j = sorted(torch.randperm(length)[:2].tolist())
        if adjacent:
            j = i + 1 if i + 1 < length else i
            i = j - 1
        row[i], row[j] = (2, 1) if swapped else (1, 2)
    return x, y


SMALL = Spec("tokens", (9,), 2, "classification", vocab_size=6)


@pytest.mark.parametrize("pooling", get_args(Pooling))
@pytest.mark.parametrize("cell", get_args(Cell))
def test_recurrent_networks_learn_which_word_came_first(cell: str, pooling: str) -> None:
    x, y = first_or_second(adjacent=False)
    model = recurrent_text(
        SMALL, 2, cell=cell, pooling=pooling, embedding_size=8, units=12, bidirectional=False, dropout=0  # type: ignore[arg-type]
    )  # fmt: skip
    assert fit(model, x, y, 150) >= 0.98


def test_convolutions_and_bigrams_learn_the_order_of_neighbours_and_single_words_cannot() -> None:
    x, y = first_or_second(adjacent=True)
    narrow = {"embedding_size": 8, "channels": 8, "dropout": 0.0}
    bigrams = {"embedding_size": 8, "buckets": 200, "embedding_range": 0.5}
    assert fit(cnn_text(SMALL, 2, widths=[2, 3], **narrow), x, y, 150) >= 0.98  # type: ignore[arg-type]
    assert fit(cnn_text(SMALL, 2, widths=[1], **narrow), x, y, 150) < 0.8  # type: ignore[arg-type]
    assert fit(fasttext(SMALL, 2, ngrams=2, **bigrams), x, y, 150) >= 0.98  # type: ignore[arg-type]
    assert fit(fasttext(SMALL, 2, ngrams=1, **bigrams), x, y, 150) < 0.8  # type: ignore[arg-type]


def test_other_data_is_refused_with_a_model_that_takes_it(image: Spec, tabular: Spec) -> None:
    with pytest.raises(ValueError, match=r"model=gru_text takes texts, but this data is of kind image: try model=cnn$"):
        recurrent_text(image, 3, cell="gru")
    with pytest.raises(ValueError, match=r"model=cnn_text takes texts, .* tabular: try model=mlp$"):
        cnn_text(tabular, 3)
    with pytest.raises(ValueError, match=r"model=fasttext takes texts, .* waveform: try model=cnn_speech$"):
        fasttext(Spec("waveform", (800,), 3, "classification", sample_rate=8000), 3)
    with pytest.raises(ValueError, match=r"model.widths=\[\]: name one width or more"):
        cnn_text(SPEC, 3, widths=[])
