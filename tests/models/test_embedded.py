"""Categories of a table that come as codes: which models take them, and what they make of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dlkit.models.embedded import Embedded
from dlkit.models.lego import lego
from dlkit.models.linear import linear, logreg
from dlkit.models.mlp import mlp
from dlkit.types import Spec

SPEC = Spec("tabular", (5,), 3, "classification", classes=("a", "b", "c"), cardinalities=(4, 200))


def rows(count: int = 6) -> torch.Tensor:
    codes = torch.stack([torch.randint(4, (count,)), torch.randint(200, (count,))], 1)
    return torch.cat([torch.randn(count, 3), codes.float()], 1)


def test_numbers_stay_and_each_code_becomes_its_vector() -> None:
    module, x = Embedded(5, (4, 200)), rows()
    first, second = (table.weight for table in module.tables)
    assert (first.shape, second.shape, module.width) == ((4, 2), (200, 50), 55)
    expected = torch.cat([x[:, :3], first[x[:, 3].long()], second[x[:, 4].long()]], 1)
    assert torch.equal(module(x), expected)


def test_an_mlp_embeds_codes_first_with_vectors_of_the_given_width() -> None:
    model = mlp(SPEC, 3, hidden=(7,), embedding=6)
    assert isinstance(model, nn.Sequential)
    assert model[1].in_features == 3 + 2 * 6
    out = model(rows())
    assert out.shape == (6, 3)
    out.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_an_mlp_learns_from_codes_what_their_order_does_not_tell() -> None:
    x = rows(64)
    y = (x[:, 4].long() % 2).long()  # odd or even
    model = mlp(SPEC, 2, hidden=(32,))
    optim = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        optim.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optim.step()
    assert (model(x).argmax(1) == y).float().mean() > 0.95


@pytest.mark.parametrize("make", [linear, logreg])
def test_linear_models_refuse_codes_by_name(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"a linear model takes no codes.*data\.categories=onehot"):
        make(SPEC, 3)


def test_lego_refuses_codes_by_name() -> None:
    with pytest.raises(ValueError, match=r"model=lego takes no codes.*data\.categories=onehot"):
        lego(SPEC, 3, layers=[{"linear": "out"}])


def test_a_width_without_codes_warns(tabular: Spec) -> None:
    with pytest.warns(UserWarning, match=r"model\.embedding has no effect"):
        mlp(tabular, 3, embedding=4)
