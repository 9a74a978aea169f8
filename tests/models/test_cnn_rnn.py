"""Images as sequences: what the columns are, in which order they are read, what is refused."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlkit.models.cnn_rnn import Columns, cnn_rnn
from dlkit.models.sequence import Pool, Recurrent
from dlkit.summary import parameter_count
from dlkit.types import Spec

CHOICES = {"cell": ["lstm", "gru", "rnn"], "bidirectional": [0, 1], "pooling": ["last", "mean"], "batch_norm": [0, 1]}


@pytest.mark.parametrize("values", list(product(*CHOICES.values())))
def test_every_choice_gives_one_row_of_outputs_an_image(image: Spec, values: tuple[Any, ...]) -> None:
    options: dict[str, Any] = dict(zip(CHOICES, values, strict=True))
    model = cnn_rnn(image, 7, channels=(3, 4), units=5, layers=2, dropout=0.2, **options)
    out = model(torch.randn(6, 1, 8, 8))
    assert out.shape == (6, 7)
    out.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_sequence_is_the_columns_from_left_to_right() -> None:
    recurrent = Recurrent("lstm", 2 * 3, 5)
    columns = Columns(recurrent, Pool("last", 5))
    x = torch.randn(4, 2, 3, 7)
    steps = torch.stack([x[..., column].flatten(1) for column in range(7)], 1)  # (4, 7, 6)
    torch.testing.assert_close(columns(x), recurrent.forward_layers[0](steps)[0][:, -1])


def test_both_directions_end_where_they_have_read_everything() -> None:
    recurrent = Recurrent("gru", 6, 5, bidirectional=True)
    columns = Columns(recurrent, Pool("last", 10, True))
    x = torch.randn(4, 2, 3, 7)
    steps = x.flatten(1, 2).transpose(1, 2)
    forward = recurrent.forward_layers[0](steps)[0][:, -1]
    backward = recurrent.backward_layers[0](steps.flip(1))[0][:, -1]
    torch.testing.assert_close(columns(x), torch.cat([forward, backward], 1))


def test_it_has_the_parameters_of_its_layers(image: Spec) -> None:
    model = cnn_rnn(image, 10, channels=(4, 6), kernel_size=5, units=7)
    conv = (4 * 25 + 4) + (6 * 4 * 25 + 6)
    direction = 4 * 7 * (6 * 2 + 7 + 2)  # 8x8 halved twice: columns of 6 channels and 2 pixels; torch has two biases
    assert parameter_count(model) == conv + 2 * direction + (14 * 10 + 10)


def test_images_of_any_size_are_taken_and_those_too_small_refused(image: Spec) -> None:
    for shape in ((3, 32, 20), (2, 9, 13)):
        assert cnn_rnn(Spec("image", shape, 4, "classification"), 4, channels=(3, 3, 3))(
            torch.randn(2, *shape)
        ).shape == (2, 4)
    with pytest.raises(ValueError, match=r"model\.channels=.*4 times.*8x8"):
        cnn_rnn(image, 3, channels=(2, 2, 2, 2))
    with pytest.raises(ValueError, match=r"model\.kernel_size=2"):
        cnn_rnn(image, 3, kernel_size=2)


def test_tables_are_refused(tabular: Spec) -> None:
    with pytest.raises(ValueError, match=r"model=cnn_rnn takes images.*tabular"):
        cnn_rnn(tabular, 3)


def test_it_learns_which_way_a_step_goes(image: Spec) -> None:
    """Left half dark and right half bright, or the other way round: only the order of the columns tells them apart."""
    x = torch.zeros(20, 1, 8, 8)
    x[:10, ..., 4:] = 1
    x[10:, ..., :4] = 1
    x += 0.2 * torch.randn_like(x)
    y = torch.arange(20) // 10
    model = cnn_rnn(image, 2, channels=(4,), units=8, bidirectional=False)
    optim = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        loss = F.cross_entropy(model(x), y)
        optim.zero_grad()
        loss.backward()
        optim.step()
    assert (model(x).argmax(1) == y).all()
    assert isinstance(model, nn.Sequential)
