"""README.md beside an exported model: what it takes, what it gives, and how to call it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import torch

from dlkit.data.images.folder import ImageFiles
from dlkit.data.text.tokens import SHORT_FORM, WORD, Tokens
from dlkit.export.check import Checked
from dlkit.export.inputs import Input
from dlkit.trained import Trained

FILES = {"onnx": "model.onnx", "torch_export": "model.pt2", "safetensors": "model.safetensors"}
PACKAGES = {
    "onnx": ("dlkit", "torch", "onnx", "onnxscript", "onnxruntime"),
    "torch_export": ("dlkit", "torch"),
    "safetensors": ("dlkit", "torch", "safetensors"),
}
SHOWN = 100  # classes in the README; all are in classes.json
