"""What a run tells the person at the terminal, before and after training."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Any

from rich.table import Table

from dlkit import dist, look, runs, trust
from dlkit.build import Experiment
from dlkit.log import log
from dlkit.settings import program
from dlkit.summary import forward_flops, layer_table, parameter_count, tensor_bytes

SHOWN = ("data", "model", "loss", "regularizer", "optim", "scheduler", "init")


def opening(experiment: Experiment, saved: dict[str, Any] | None, choices: Mapping[str, str]) -> None:
    """Data, model and plan of the run, and where it goes on from. `choices` names the files chosen, where known."""
    data, state, trainer = experiment.data, experiment.state, experiment.trainer
    chosen = [f"{group} {choices.get(group) or _target(state.config[group])}" for group in SHOWN]
    log.info("run     %s", ", ".join(chosen))
    look.show(data)
    how = ", compiled" * trainer.compile + ", captured" * trainer.capture
    how += f", one of {dist.world()} processes" if dist.world() > 1 else ""
    log.info("device  %s, %s%s", experiment.device, trainer.dtype, how)
    length = f"{state.total_steps:,} steps" if state.bounded else f"{trainer.max_time:g} minutes"
    passes = state.total_steps / state.steps_per_epoch
    epochs = f" ({passes:.4g} epochs of {state.steps_per_epoch})" if state.bounded else ""
    rate = f"first rate {first_rate(experiment):.3g}"
    log.info("plan    %s%s of %s examples, %s", length, epochs, f"{state.batch_size:,}", rate)
    log.info("folder  %s", state.folder)
    if saved:
        log.info("%s", _going_on(experiment, saved))
    log.info("")
    log.info(layer_table(experiment.layers, parameter_count(state.model)))
    log.info("")


def _going_on(experiment: Experiment, saved: dict[str, Any]) -> str:
    """Where a resumed run goes on, and what a new length means for the learning rate."""
    state = experiment.state
    line = f"resume  at step {state.step:,}"
    if saved["total_steps"] != state.total_steps:
        rate = state.optim.param_groups[0]["initial_lr"] * experiment.schedule(state.step)
        before = saved["optim"]["param_groups"][0]["lr"]
        line += f"; {saved['total_steps']:,} steps were planned. The schedule is drawn over the new length: the rate "
        line += f"goes from {before:.3g} to {rate:.3g}" if rate != before else "stays"
    return line


def _target(node: Mapping[str, Any]) -> str:
    """The name of a group's choice: the last part of its target."""
    return str(node["_target_"]).rpartition(".")[2]


def first_rate(experiment: Experiment) -> float:
    """Learning rate of the first step."""
    return experiment.state.optim.param_groups[0]["initial_lr"] * experiment.schedule(0)


def dry_run(experiment: Experiment) -> None:
    """The first batch and what the run would cost."""
    batch, model = next(experiment.data.train(0)), experiment.state.model
    table = Table(box=None, pad_edge=False, header_style="bold", title="first batch", title_justify="left")
    for column in ("", "shape", "type", "least", "mean", "most"):
        table.add_column(column)
    padding = look.padding(experiment.data, batch.x)
    for name, tensor, real in (("x", batch.x, batch.x[~padding]), ("y", batch.y, batch.y)):
        wide = real.cpu().double()  # mps has no float64
        figures = [f"{value:.4g}" for value in (wide.min().item(), wide.mean().item(), wide.max().item())]
        table.add_row(name, " x ".join(map(str, tensor.shape)), str(tensor.dtype).removeprefix("torch."), *figures)
    log.info(table)
    if padding.any():
        log.info("\npadding %.1f%% of x, left out of its figures", 100 * padding.float().mean().item())
    flops = forward_flops(model, batch.x[:1])
    size = tensor_bytes(model.parameters())
    log.info("\ncost    %s operations forward an example, about 3 x that to train on it", f"{flops:,}")
    log.info("memory  %s of parameters, %s of input a batch", megabytes(size), megabytes(tensor_bytes([batch.x])))
    log.info("dry run: nothing was trained and nothing was written")


def megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def closing(experiment: Experiment, result: dict[str, Any]) -> None:
    """The final table, where everything is, and what to type next."""
    state = experiment.state
    if result["metrics"]:
        log.info(runs.figures_table(result))
    why = f": {result['reason']}" if result["reason"] and result["status"] != "failed" else ""
    log.info(
        "\n%s%s after %s steps (%.4g epochs) in %.3g s of training, %s samples/s",
        *(result["status"], why, f"{state.step:,}", state.epoch, state.seconds),
        f"{result['samples_per_second']:,.0f}",
    )
    if result["weights"] not in (None, "last"):
        log.info("weights %s", result["weights"])
    if state.best:
        log.info("best    %s %.4f at step %d", state.best["metric"], state.best["value"], state.best["step"])
    if experiment.engine.makes_zeros and result["zero_weights"] is not None:
        log.info("zeros   %.1f%% of the weights are exactly zero", 100 * result["zero_weights"])
    log.info("folder  %s", state.folder)
    if result["status"] == "interrupted":
        log.info("next    %s resume=%s%s", program(), quote(str(state.folder)), trust.flag(state.config))
    log.info("next    tensorboard --logdir %s", quote(str(state.folder)))
