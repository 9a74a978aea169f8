"""How many replicas fit into memory at once."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from dlkit.build import Experiment
from dlkit.machine import free_memory
from dlkit.summary import tensor_bytes

SHARE = 0.5  # of the free memory that may be used
COPIES = 8  # of the weights: they, gradients, two moments, shifts, the best ones, and what a checkpoint holds meanwhile


def fitting(run: Experiment, processes: int) -> int:
    """Replicas of this run that fit into this process's part of the free memory."""
    each = COPIES * tensor_bytes(run.state.model.parameters()) + 3 * activations(run)
    if run.device.type == "cuda":  # each process has one of its own
        processes = 1
    return max(1, int(SHARE * free(run.device) / processes / max(each, 1)))


def activations(run: Experiment) -> int:
    """Bytes that the forward pass of a training batch keeps for the backward pass."""
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch, model = next(run.data.train(0)), deepcopy(run.state.model)  # whose running statistics stay as they are
    with torch.random.fork_rng(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run.engine.loss(run.engine.forward(model, batch.x), batch.y).mean()
    return sum(sizes.values())


def free(device: torch.device) -> float:
    """Bytes that can be had; plenty where the system does not say."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return 1e9 * free_memory()
