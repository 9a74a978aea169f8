"""Which jobs of a sweep can be trained as one model, by their configs alone; trying it says the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from dlkit.settings import leaves
from dlkit.sweeps.jobs import Job

# Options in which jobs that are trained together may differ, since each keeps objects of its own for them, or since
# there is a number for each replica. All others are the same in a group: momentum, say, or the batch size.
FREE = (
    "seed",  # weights, order, dropout, augmentation
    "name",
    "tags",
    "run_dir",
    "init.*",  # any scheme
    "optim.lr",
    "optim.weight_decay",
    "scheduler.*",  # any schedule
    "regularizer.*",  # strengths; the kind is the same, see below
    "loss.label_smoothing",
    "callbacks.*",  # each job has its own
    "model.dropout",  # of model=mlp; on or off is the same
)
KIND = "regularizer._target_"
LINEAR_LAYERS = "dlkit.models.mlp.mlp"

# What makes a job one of its own, and why.
ALONE = (
    ("trainer.compile", True, "trainer.compile=true"),
    ("trainer.capture", True, "trainer.capture=true"),
    ("trainer.dtype", "float16", "trainer.dtype=float16 scales the loss of each run by itself"),
    ("optim._target_", "dlkit.optim.muon", "optim=muon is not linear in the rate"),
    ("trainer.profile", True, "trainer.profile looks at a single model"),
    ("callbacks.output_std.enabled", True, "callbacks.output_std looks into a single model"),
)


def why_alone(config: Mapping[str, Any]) -> str:
    """Why a job with this config is trained by itself; empty where nothing is known against training it with others."""
    values = dict(leaves(config))
    found = [why for key, value, why in ALONE if values.get(key) == value]
    if values.get("trainer.accumulate", 1) != 1:
        found.append("trainer.accumulate cuts the batches of a single model")
    return found[0] if found else ""


def groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs in groups whose members may be trained as one model, in the order of their first ones."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(_key(job.config), []).append(job)
    return list(found.values())


def _key(config: Mapping[str, Any]) -> str:
    """What the members of a group have in common."""
    values = {key: value for key, value in leaves(config) if key == KIND or not _is_free(key, config)}
    if _drops(config):
        values["model.dropout"] = config["model"]["dropout"] > 0
    if config["trainer"].get("overfit_batches"):
        values["seed"] = config["seed"]  # it decides which batches these are
    values["why alone"] = why_alone(config)
    return str(sorted(values.items(), key=lambda item: item[0]))


def _is_free(key: str, config: Mapping[str, Any]) -> bool:
    if key == "model.dropout":
        return _drops(config)
    return any(fnmatchcase(key, pattern) for pattern in FREE)


def _drops(config: Mapping[str, Any]) -> bool:
    """Whether the model's dropout may differ: only layers that are stacked by hand take a rate for each replica."""
    model = config["model"]
    return model.get("_target_") == LINEAR_LAYERS and not model.get("batch_norm") and "dropout" in model
