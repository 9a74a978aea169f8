"""The model at the end of a run: with which weights, and over which views of an image. Options are `settings.Final`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dlkit.build import Experiment
from dlkit.callbacks.checkpoint import Checkpoint, content, folder
from dlkit.log import log
from dlkit.models.views import Views
from dlkit.rundir import load, save
from dlkit.settings import Final


def check(experiment: Experiment) -> None:
    """Raises ValueError for a final model that this run cannot have."""
    final, spec = experiment.final, experiment.data.spec
    _check_weights(experiment)
    if not (final.mirror or final.shift):
        return
    option = "final.mirror=true" if final.mirror else f"final.shift={final.shift}"
    if spec.kind != "image":
        raise ValueError(f"{option}: only images have views, this data is {spec.kind}; leave it out")
    side = min(spec.input_shape[1:])
    if final.shift >= side:
        raise ValueError(f"final.shift={final.shift}: expected less than the image's side, {side} pixels")


def _check_weights(experiment: Experiment) -> None:
    final, total = experiment.final, experiment.state.total_steps
    option, checkpoint = f"final.weights={final.weights}", _checkpoint(experiment)
    if final.weights == "last":
        return
    if checkpoint is None:
        raise ValueError(f"{option}: needs callbacks.checkpoint, which this config leaves out")
    if final.weights in ("best", "average_best") and "val" not in experiment.data.split_sizes:
        raise ValueError(f"{option}: there is no validation split to say which are best; set data.val_fraction")
    if final.weights == "average_best" and checkpoint.top_k < final.average:
        raise ValueError(
            f"{option}: final.average={final.average} of them, but callbacks.checkpoint.top_k={checkpoint.top_k} keeps "
            f"fewer; set callbacks.checkpoint.top_k={final.average}"
        )
    if final.weights == "average_last" and checkpoint.keep_every is None:
        raise ValueError(f"{option}: no checkpoints are kept; set callbacks.checkpoint.keep_every, in steps")
    if final.weights == "average_last" and checkpoint.keep_every and checkpoint.keep_every > total:
        raise ValueError(
            f"{option}: callbacks.checkpoint.keep_every={checkpoint.keep_every} keeps none in the {total:,} steps of "
            "this run; set it lower"
        )


def settle(experiment: Experiment) -> str:
    """Gives the model to evaluate its final weights, and writes checkpoints/average.pt where they are a mean.

    Returns which weights they are: `final.weights`, or "last" where nothing else came of the run.
    """
    final, state = experiment.final, experiment.state
    checkpoint = _checkpoint(experiment)
    if final.weights == "last" or checkpoint is None:
        return "last"
    if final.weights == "best":
        if not state.best:
            log.warning("final.weights=best: no evaluation gave a number, so the last weights are used")
            return "last"
        state.eval_model.load_state_dict(load(folder(state) / "best.pt")["model"])
        return "best"
    files = (checkpoint.newest if final.weights == "average_last" else checkpoint.best)(state, final.average)
    if len(files) < final.average:
        instead = "" if files else ", so the last weights are used"
        log.warning("final.average=%d: the run has kept %d such checkpoints%s", final.average, len(files), instead)
    average(experiment, files)
    return final.weights if files and not state.asked else "last"


def average(experiment: Experiment, files: Sequence[Path]) -> None:
    """Gives the model to evaluate the mean of the parameters of these checkpoints, and writes checkpoints/average.pt.

    A signal ends it with the model as it was.
    """
    state, model = experiment.state, experiment.state.eval_model
    steps = [state.step]
    if files:
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        names = {name for name, _ in model.named_parameters(remove_duplicate=False)}
        weights, steps = mean(files, names)
        model.load_state_dict(weights)
        refresh_norms(experiment)
        if state.asked:
            model.load_state_dict(before)
            return
        log.info("average of the weights after %s steps", ", ".join(f"{step:,}" for step in steps))
    save(content(state, model.state_dict(), {"step": max(steps), "averaged": steps}), folder(state) / "average.pt")


def mean(files: Sequence[Path], parameters: Collection[str]) -> tuple[dict[str, Tensor], list[int]]:
    """The state dict of the last file with its parameters' mean over all files, summed in float64; and their steps."""
    *others, last = files
    saved = load(last)
    weights, steps = saved["model"], [saved["step"]]
    sums = {name: weights[name].to(torch.float64, copy=True) for name in parameters}
    for file in reversed(others):
        saved = load(file)
        steps.insert(0, saved["step"])
        for name, total in sums.items():
            total += saved["model"][name]
    means = {name: (total / len(files)).to(weights[name].dtype) for name, total in sums.items()}
    return {**weights, **means}, steps


@torch.no_grad()
def refresh_norms(experiment: Experiment) -> None:
    """Makes the running statistics of batch norm anew for averaged weights, whose activations no training step has seen
    (Izmailov et al. 2018): the mean over the batches of one epoch. Costs a forward pass of each.

    As `torch.optim.swa_utils.update_bn`, but as an evaluation sees the data: without augmentation and dropout, whose
    noise would be part of the variances (Li et al. 2019). The batches are those of training, not of evaluation: these
    are in the data's order, often by class, and the variance between classes would be lost. Norms that are frozen keep
    what they have.
    """
    state, model = experiment.state, experiment.state.eval_model
    state.train_mode()
    learning = {name for name, part in state.model.named_modules() if isinstance(part, _BatchNorm) and part.training}
    state.model.eval()
    model.eval()
    if not learning:
        return
    norms = [part for name, part in model.named_modules() if isinstance(part, _BatchNorm) and name in learning]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a mean over all batches
        norm.train()
    data = copy(experiment.data)
    data.augment = None
    data.share(0, 1)  # this process sees all
    for batch in islice(data.train(0), data.steps_per_epoch):
        experiment.engine.forward(model, batch.x)
        if state.asked:
            break
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def viewed(model: nn.Module, final: Final) -> nn.Module:
    """The model as it answers after training: over views where there are several."""
    return Views(model, mirror=final.mirror, shift=final.shift) if final.mirror or final.shift else model


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 (16 hex digits) over names, types, shapes and bytes of a state dict, whatever its order, device and
    memory format: equal for equal weights."""
    total = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        total.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()[:16]


def _checkpoint(experiment: Experiment) -> Checkpoint | None:
    return next((callback for callback in experiment.callbacks if isinstance(callback, Checkpoint)), None)
