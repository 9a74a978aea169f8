"""Sequences of different lengths: padding changes nothing, whatever the cell, the direction and the pooling."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dlkit.models.sequence import (
    CELLS,
    Cell,
    Pool,
    Pooling,
    Recurrent,
    mask,
    reverse,
    unpadded,
    zeroed,
)

LENGTHS = torch.tensor([7, 3, 5, 1])
CELL_NAMES, POOLINGS = get_args(Cell), get_args(Pooling)


def test_lengths_are_read_off_tokens_and_off_frames() -> None:
    tokens = torch.tensor([[4, 1, 2], [3, 0, 0], [0, 0, 0]])
    x, lengths = unpadded(tokens)
    assert x.tolist() == tokens.tolist()
    assert lengths.tolist() == [3, 1, 0]
    nan = torch.nan
    for wave in (torch.tensor([[0.0, 0.0, 2.0], [1.0, nan, nan], [nan, nan, nan]]),):
        for frames in (wave, wave[..., None].expand(3, 3, 2), wave[..., None, None].expand(3, 3, 2, 4)):
            x, lengths = unpadded(frames)
            assert lengths.tolist() == [3, 1, 0]
            assert not x.isnan().any()
            assert x.reshape(3, 3, -1)[:, :, 0].tolist() == [[0, 0, 2], [1, 0, 0], [0, 0, 0]]


def test_values_that_are_infinite_stay_so_for_the_guard_to_see() -> None:
    x, lengths = unpadded(torch.tensor([[1.0, torch.inf], [-torch.inf, torch.nan]]))
    assert x.tolist() == [[1, torch.inf], [-torch.inf, 0]]
    assert lengths.tolist() == [2, 1]


def test_a_batch_of_empty_sequences_has_one_step_of_padding() -> None:
    x, lengths = unpadded(torch.zeros(3, 0, dtype=torch.long))
    assert x.tolist() == [[0], [0], [0]]
    assert lengths.tolist() == [0, 0, 0]
    assert unpadded(torch.zeros(3, 0, 5))[0].shape == (3, 1, 5)


def test_the_mask_and_the_reversal_are_those_by_hand() -> None:
    lengths = torch.tensor([3, 1, 0])
    assert mask(lengths, 4).int().tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    x = torch.arange(12.0).view(3, 4, 1)
    assert zeroed(x, lengths).squeeze(-1).tolist() == [[0, 1, 2, 0], [4, 0, 0, 0], [0, 0, 0, 0]]
    assert reverse(x, lengths).squeeze(-1).tolist() == [[2, 1, 0, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert torch.equal(reverse(reverse(x, lengths), lengths), x)


def twin(model: Recurrent, cell: str, inputs: int, units: int) -> nn.RNNBase:
    """torch's own module with the same weights."""
    both = len(model.backward_layers) > 0
    theirs = CELLS[cell](inputs, units, len(model.forward_layers), batch_first=True, bidirectional=both)
    directions = ((model.forward_layers, ""), (model.backward_layers, "_reverse"))
    for layers, suffix in directions:
        for number, layer in enumerate(layers):
            for name, weight in layer.named_parameters():
                theirs.get_parameter(f"{name.removesuffix('0')}{number}{suffix}").data = weight.data.clone()
    return theirs


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("both", [False, True])
def test_recurrent_layers_compute_what_torch_does_with_packed_sequences(cell: str, both: bool) -> None:
    model = Recurrent(cell, 6, 5, layers=2, bidirectional=both)  # type: ignore[arg-type]
    theirs = twin(model, cell, 6, 5)
    x = torch.randn(4, 7, 6)
    mine = x.clone().requires_grad_()
    other = x.clone().requires_grad_()
    out = zeroed(model(mine, LENGTHS), LENGTHS)
    packed = pack_padded_sequence(other, LENGTHS, batch_first=True, enforce_sorted=False)
    expected = pad_packed_sequence(theirs(packed)[0], batch_first=True)[0]
    torch.testing.assert_close(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(mine.grad, other.grad)
    torch.testing.assert_close(model.forward_layers[0].weight_hh_l0.grad, theirs.weight_hh_l0.grad)


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_sequence_alone_gives_what_it_gives_in_a_padded_batch(cell: str, both: bool, pooling: str) -> None:
    recurrent = Recurrent(cell, 6, 5, layers=2, bidirectional=both)  # type: ignore[arg-type]
    pool = Pool(pooling, recurrent.width, both)  # type: ignore[arg-type]
    lengths = torch.tensor([7, 3, 5, 1, 0])
    x = zeroed(torch.randn(5, 7, 6), lengths)
    together = pool(recurrent(x, lengths), lengths)
    assert together.shape == (5, recurrent.width)
    for i, length in enumerate(lengths.tolist()):
        steps = max(length, 1)
        alone = pool(recurrent(x[i : i + 1, :steps], lengths[i : i + 1]), lengths[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-6)


def test_the_padding_gets_no_gradient() -> None:
    x = torch.randn(4, 7, 6, requires_grad=True)
    recurrent = Recurrent("lstm", 6, 5, bidirectional=True)
    for pooling in POOLINGS:
        x.grad = None
        Pool(pooling, 10, True)(recurrent(x, LENGTHS), LENGTHS).sum().backward()
        assert x.grad is not None
        assert not x.grad[~mask(LENGTHS, 7)].any()
        assert x.grad[:, 0].any(-1).all()


def test_pooling_gives_the_values_by_hand() -> None:
    x = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [9.0, 9.0]], [[-5.0, 6.0], [7.0, 7.0], [7.0, 7.0]]])
    lengths = torch.tensor([2, 1])

    def pooled(kind: Pooling, both: bool = False) -> list[list[float]]:
        return Pool(kind, 2, both)(x, lengths).tolist()

    assert pooled("mean") == [[2, -3], [-5, 6]]
    assert pooled("max") == [[3, -2], [-5, 6]]
    assert pooled("last") == [[3, -4], [-5, 6]]
    assert pooled("last", both=True) == [[3, -2], [-5, 6]]  # forwards it ends at the last step, backwards at the first


def test_attention_is_a_mean_weighted_by_the_softmax_of_its_scores() -> None:
    pool, x = Pool("attention", 3), torch.randn(1, 4, 3)
    weight, bias, v = pool.score[0].weight, pool.score[0].bias, pool.score[2].weight[0]
    scores = torch.stack([v @ torch.tanh(weight @ x[0, t] + bias) for t in range(2)])
    expected = sum(a * x[0, t] for t, a in enumerate(scores.softmax(0)))
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(pool(x, torch.tensor([2]))[0], expected)
