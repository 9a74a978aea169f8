"""What a trained model answers on whole splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlkit.evaluation.data import Seen
from dlkit.trained import Trained
from dlkit.trainer import evaluate


@dataclass
class Outputs:
    """Answers of a model, split after split, in the order of the examples; on the CPU."""

    out: Tensor  # float32 (N, K), as the model gives them
    y: Tensor  # classes int64 (N,), or numbers float32 (N, T) in the unit of the loss
    metrics: dict[str, float]  # `split/name`, computed as at the end of training
    rows: list[tuple[str, int]]  # of each answer: its split, and the row there


def outputs(trained: Trained, seen: Seen, splits: Sequence[str]) -> Outputs:
    """One pass over each split."""
    outs, ys, rows = [], [], []
    metrics: dict[str, float] = {}
    for split in splits:
        keep: list[tuple[Tensor, Tensor]] = []
        metrics |= evaluate(trained.measure, trained.model, seen.data.eval(split), split, keep)
        given = seen.data.order(split)[: sum(len(y) for _, y in keep)]  # fewer with trainer.limit_batches
        back = given.argsort()
        outs.append(torch.cat([out for out, _ in keep]).cpu()[back])
        ys.append(torch.cat([y for _, y in keep]).cpu()[back])
        rows += [(split, row) for row in given[back].tolist()]
    return Outputs(torch.cat(outs), torch.cat(ys), metrics, rows)
