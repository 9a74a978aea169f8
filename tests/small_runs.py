"""Folders as runs leave them, made without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CONFIG: dict[str, Any] = {
    "seed": 0,
    "name": None,
    "tags": [],
    "data": {"_target_": "dlkit.data.images.known.digits", "batch_size": 32},
    "model": {"_target_": "dlkit.models.mlp.mlp", "hidden": [256, 128]},
    "optim": {"_target_": "dlkit.optim.adam", "lr": 0.001, "eps": 1e-08},
    "trainer": {"_target_": "dlkit.settings.Trainer", "epochs": 3, "max_steps": None},
}
RESULT: dict[str, Any] = {
    "status": "finished",
    "reason": "",
    "step": 120,
    "epoch": 3.0,
    "seconds": 1.5,
    "parameters": 50826,
    "samples_per_second": 2560.0,
    "seed": 0,
    "name": None,
    "tags": [],
    "metrics": {"train/loss": 0.1, "val/loss": 0.3, "val/accuracy": 0.9, "test/loss": 0.25, "test/accuracy": 0.92},
    "best": {},
}


def make_run(
    folder: str | Path,
    *,
    time: str = "2026-01-01T12:00:00+00:00",
    config: dict[str, Any] | None = None,
    env: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
    metrics: list[dict[str, Any]] | None = None,
) -> Path:
    """A run's folder. `config` (dotted keys) and `result` change what stands above; `result={}`: without result."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    full = OmegaConf.create(CONFIG)
    for key, value in (config or {}).items():
        OmegaConf.update(full, key, value, force_add=True)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(full))
    (folder / "env.json").write_text(json.dumps({"time": time, "arguments": [], "data": "fa57", **(env or {})}))
    if result != {}:
        (folder / "result.json").write_text(json.dumps(RESULT | (result or {})))
    if metrics is not None:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    return folder
