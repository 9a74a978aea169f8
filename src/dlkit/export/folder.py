"""Writing the folder of an export: the file, what belongs to it, and its README, checked before it is there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlkit.data.tables.columns import Columns
from dlkit.data.text.tokens import Tokens
from dlkit.evaluation.data import Seen
from dlkit.export import weights
from dlkit.export.check import Checked, answers, compare, real_examples
from dlkit.export.formats import write_onnx, write_program
from dlkit.export.inputs import Input, describe, tensors
from dlkit.export.module import Answer, Whole
from dlkit.export.readme import readme
from dlkit.rundir import write_text
from dlkit.trained import Trained

FILES = {"onnx": "model.onnx", "torch_export": "model.pt2", "safetensors": "model.safetensors"}
WRITERS = {"onnx": write_onnx, "torch_export": write_program}


def export(trained: Trained, seen: Seen, format: str, out: Path) -> Checked:
    """Writes the model, on the CPU, into the folder `out` in place of an older export, and compares it with the model
    on real examples.

    Raises Differs where it says something else, ValueError where the format cannot hold it or `out` holds other files;
    an older export then stays.
    """
    split, raw = real_examples(seen)
    with _replacing(out) as folder:
        output = Answer(trained.spec, trained.measure.loss).name
        if format == "safetensors":
            inputs: list[Input] = []
            weights.write(trained, folder)
            rebuilt = weights.load(folder, device="cpu", trust=True)  # of a config that `trained` was loaded by
            run: Callable[[Any], Tensor] = partial(answers, rebuilt)
        else:
            inputs = describe(trained.encoder, raw, trained.spec.sample_rate)
            run = _written(trained, format, folder, raw, inputs, output)
            _write_words(trained, folder)
        checked = compare(trained, seen, split, raw, run)
        if trained.spec.classes:
            _write(trained.spec.classes, folder / "classes.json")
        text = readme(trained, format, FILES[format], inputs, output, checked)
        write_text(text, folder / "README.md")
    return checked


def _written(
    trained: Trained, format: str, folder: Path, raw: Any, inputs: list[Input], output: str
) -> Callable[[Any], Tensor]:
    """Writes the file; returns what runs it on raw examples."""
    encoder = trained.encoder
    if format == "onnx" and isinstance(encoder, Columns) and encoder.normalize == "quantile":
        raise ValueError("--format onnx: has no operation for data.normalize=quantile; --format torch_export has")
    example = tensors(encoder, raw[torch.arange(len(raw))[:3]])
    if len(raw) == 1:
        example = tuple(torch.cat([one, one]) for one in example)
    module = Whole(trained).eval().requires_grad_(False)
    run = WRITERS[format](module, example, inputs, output, folder / FILES[format])
    return lambda batch: run(*tensors(encoder, batch))


def _write_words(trained: Trained, folder: Path) -> None:
    """What turns words into the numbers of the inputs."""
    encoder = trained.encoder
    if isinstance(encoder, Columns) and encoder.levels:
        names = encoder.word_names or [str(i) for i in range(len(encoder.levels))]
        _write(dict(zip(names, encoder.levels, strict=True)), folder / "categories.json")
    if isinstance(encoder, Tokens):
        bpe = encoder.state_dict()["bpe"]
        if bpe:
            write_text(bpe, folder / "tokenizer.json")
        else:
            _write(encoder.vocabulary, folder / "vocabulary.json")


def _write(content: Any, path: Path) -> None:
    write_text(json.dumps(content, ensure_ascii=False, indent=0) + "\n", path)


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A new folder, which takes the place of `out` once it is complete. Raises ValueError where `out` is no export."""
    if out.exists() and not _is_export(out):
        raise ValueError(f"--out {out}: holds other files than an export; name a new or an empty folder")
    folder = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    folder.mkdir(parents=True)
    try:
        yield folder
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_export(out: Path) -> bool:
    """Whether a folder is empty or holds nothing but an export."""
    known = {*FILES.values(), *weights.FILES, "README.md", "model.onnx.data"}
    known |= {"classes.json", "categories.json", "vocabulary.json", "tokenizer.json"}
    return out.is_dir() and {path.name for path in out.iterdir()} <= known
