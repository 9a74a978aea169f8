"""Weights as safetensors, with the config and the encoder beside them as plain data, to be rebuilt with dlkit."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from dlkit import runs
from dlkit.rundir import write_text
from dlkit.trained import Trained, assembled
from dlkit.trust import add_working_folder, refuse_untrusted

FILES = ("model.safetensors", "encoder.safetensors", "model.json", "config.yaml")


def write(trained: Trained, folder: Path) -> None:
    """Writes the four files into an existing folder."""
    from safetensors.torch import save_file

    def save(tensors: dict[str, Tensor], name: str) -> None:  # copies: it refuses tensors that share memory
        save_file({key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}, folder / name)

    inside: dict[str, Tensor] = {}
    encoder = _split(trained.encoder.state_dict(), "", inside)
    save(trained.model.state_dict(), "model.safetensors")
    save(inside, "encoder.safetensors")
    content = {"weights": trained.weights, "step": trained.step, "spec": asdict(trained.spec), "encoder": encoder}
    write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", folder / "model.json")
    shutil.copyfile(trained.folder / "config.yaml", folder / "config.yaml")


def load(folder: str | Path, *, device: str = "auto", trust: bool = False) -> Trained:
    """The model in a folder that `dlkit export --format safetensors` wrote, as `dlkit.load` gives that of a run.

    Raises ValueError where the folder holds none, or the config names what could run code (unless `trust`).
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder}: holds no exported weights, {', '.join(missing)} missing")
    config = runs.read_config(folder)
    if trust:
        add_working_folder()
    else:
        refuse_untrusted(config, folder)
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    spec = {key: tuple(value) if isinstance(value, list) else value for key, value in content["spec"].items()}
    encoder = _joined(content["encoder"], load_file(folder / "encoder.safetensors"))
    content |= {"spec": spec, "encoder": encoder, "model": load_file(folder / "model.safetensors")}
    return assembled(folder, runs.completed(config), content["weights"], device, content)


def _split(state: Any, place: str, inside: dict[str, Tensor]) -> Any:
    """The state as JSON takes it; tensors go into `inside`, and their name there stands in their place."""
    if isinstance(state, Tensor):
        inside[place] = state
        return {"tensor": place}
    if isinstance(state, dict):
        return {key: _split(value, f"{place}.{key}" if place else key, inside) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [_split(value, f"{place}.{i}", inside) for i, value in enumerate(state)]
    return state


def _joined(state: Any, inside: dict[str, Tensor]) -> Any:
    """The inverse of `_split`."""
    if isinstance(state, dict):
        if list(state) == ["tensor"]:
            return inside[state["tensor"]]
        return {key: _joined(value, inside) for key, value in state.items()}
    return [_joined(value, inside) for value in state] if isinstance(state, list) else state
