"""README.md beside an exported model: what it takes, what it gives, and how to call it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from dlkit import __version__
from dlkit.export.check import Checked
from dlkit.export.inputs import Input
from dlkit.export.snippets import snippet
from dlkit.trained import Trained

PACKAGES = {
    "onnx": ("torch", "onnx", "onnxscript", "onnxruntime"),
    "torch_export": ("torch",),
    "safetensors": ("torch", "safetensors"),
}
INSIDE = {  # of the preprocessing, by kind
    "image": "the scaling of pixels",
    "waveform": "the level of each recording, and the features that the model computes of it",
    "tokens": "nothing",
    "tabular": "filling in and marking of missing numbers, scaling, categories",
}
OUTSIDE = {
    "image": "reading, and resizing to the size above: short side to it, then the middle of the long side",
    "waveform": "reading, the mean of all channels, resampling to the rate above",
    "tokens": "cutting a text into tokens, and their numbers, as below",
    "tabular": "reading, and the codes of words",
}
MEANINGS = {
    "probabilities": "of the classes, in the order of classes.json",
    "scores": "of the classes, in the order of classes.json, the more the likelier; no probabilities",
    "values": "in the targets' own unit",
}
SHOWN = 50  # classes named; all are in classes.json


def readme(trained: Trained, format: str, file: str, inputs: Sequence[Input], output: str, checked: Checked) -> str:
    """The text. Without inputs: weights only, whose preprocessing is in dlkit."""
    spec = trained.spec
    parts = [
        f"# {trained.folder.absolute().name}: {file}",
        f"A model for {spec.task}, `{trained.config.model._target_}`, from the weights `{trained.weights}` after "
        f"{trained.step:,} steps, in evaluation mode and float32.",
    ]
    if inputs:
        work = f"Preprocessing inside: {INSIDE[spec.kind]}. Left to the caller: {OUTSIDE[spec.kind]}."
        parts += ["## Inputs", _table(inputs), work]
    outputs = len(spec.classes) or spec.num_outputs
    dtype = "float64" if output == "values" else "float32"
    parts += ["## Output", f"`{output}`, {dtype} (batch, {outputs}): {MEANINGS[output]}."]
    if spec.classes:
        more = f" … and {len(spec.classes) - SHOWN} more" if len(spec.classes) > SHOWN else ""
        parts.append("Classes: " + ", ".join(f"{i} {name}" for i, name in enumerate(spec.classes[:SHOWN])) + more)
    code = snippet(format, spec, trained.encoder, inputs, output)
    parts += ["## Call it", "In this folder:", f"```python\n{code}```"]
    parts += ["## Checked", f"Against the model in float32: {checked}.", f"Made with {_versions(format)}."]
    return "\n\n".join(parts) + "\n"


def _table(inputs: Sequence[Input]) -> str:
    lines = ["| name | dtype | shape | |", "|---|---|---|---|"]
    for one in inputs:
        dtype, shape = str(one.dtype).removeprefix("torch."), ", ".join(map(str, one.shape))
        lines.append(f"| {one.name} | {dtype} | ({shape}) | {one.meaning} |")
    return "\n".join(lines)


def _versions(format: str) -> str:
    return ", ".join([f"dlkit {__version__}", *(f"{name} {version(name)}" for name in PACKAGES[format])])
