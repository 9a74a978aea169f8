from __future__ import annotations

from types import SimpleNamespace

import torch

from dlkit.inits import lecun
from dlkit.lectures.initialisation import DEPTH, moments
from dlkit.types import Batch, Spec


def test_moments_by_depth_are_those_of_the_layers_before_their_activation_and_draw_nothing_from_the_run() -> None:
    batch = Batch(torch.randn(100, 1, 8, 8), torch.zeros(100, dtype=torch.long))
    data = SimpleNamespace(eval=lambda split: iter([batch]), spec=Spec("image", (1, 8, 8), 10, "classification"))
    run = SimpleNamespace(data=data, config={"seed": 1})
    before = torch.random.get_rng_state()
    relu, linear = (moments(run, name, lecun) for name in ("relu", "identity"))  # type: ignore[arg-type]
    assert relu.shape == (DEPTH,)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert relu[0] == linear[0]  # nothing acts before the first layer
    assert 0.7 < linear[0] < 1.3  # n weights of variance 1/n times inputs of variance 1
    assert (relu[1:] < linear[1:]).all()
