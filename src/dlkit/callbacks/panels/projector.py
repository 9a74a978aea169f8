"""TensorBoard's embedding projector: where the last hidden layer puts the examples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkit.answers import in_own_unit, predicted_classes
from dlkit.callbacks.panels.panel import Board, Panel
from dlkit.data.scale import Scale
from dlkit.probe import quiet
from dlkit.rundir import whole, write_text
from dlkit.state import State
from dlkit.types import PositiveInt

NUMBERS = 1_000_000  # of the points at most, 8 MB: of a wide layer there are fewer points
AT_ONCE = 100  # examples that go through the model together
SIDE = 32  # pixels of a picture at most
CONFIG, FOLDER = "projector_config.pbtxt", "projector"  # what TensorBoard looks for, and where the rest is


class Points(NamedTuple):
    """Examples as the model sees them, on the CPU."""

    hidden: Tensor  # (n, D), what comes into the last layer
    out: Tensor  # (n, K)
    y: Tensor  # (n, …)
    pictures: Tensor  # of images uint8 (n, 3, h, w), else (n, 0)


class Projector(Panel):
    """What comes into the last layer, for up to `examples` of the validation split, spread evenly over it.

    The last layer is the linear or convolutional one that the model calls last; of maps and sequences that come into it
    the mean is taken. Points can be coloured by the true and the predicted class or number; images are shown. Only the
    latest points are kept, in the run's folder; TensorBoard reads them when it starts.
    """

    def __init__(self, *, examples: PositiveInt = 1000):
        self.examples = examples

    def draw(self, state: State, board: Board) -> None:
        assert state.data is not None, "only a run that was built has data"
        rows = _evenly(state.data.order("val").sort().values, self.examples)
        parts = list(_parts(state, rows))
        if not parts:
            return
        points = Points(*map(torch.cat, zip(*parts, strict=True)))
        keep = _evenly(torch.arange(len(rows)), max(1, NUMBERS // points.hidden.shape[1]))
        _write(state, Points(*(part[keep] for part in points)))


def _evenly(rows: Tensor, count: int) -> Tensor:
    """At most `count` of them, from the first to the last."""
    return rows[torch.linspace(0, len(rows) - 1, min(count, len(rows))).round().long()]


def _parts(state: State, rows: Tensor) -> Iterator[Points]:
    """The examples in these rows, some at a time; none of a model without such a layer."""
    assert state.data is not None and state.measure is not None
    model, is_image = state.eval_model, state.spec.kind == "image"
    for some in rows.split(AT_ONCE):
        x, y = state.data.examples("val", some)
        with quiet(model), _inputs(model) as seen:
            out = state.measure.forward(model.forward, x)  # type: ignore[arg-type]  # never the compiled one
        if not seen:
            return
        hidden = seen[0].float()
        hidden = hidden.flatten(2).mean(2) if seen[1] else hidden.flatten(1, -2).mean(1) if hidden.dim() > 2 else hidden
        pictures = _pictures(state, x) if is_image else x.new_empty(len(x), 0)
        yield Points(*(part.cpu() for part in (hidden, out.float(), y, pictures)))


@contextmanager
def _inputs(model: nn.Module) -> Iterator[list[Any]]:
    """What comes into the last linear or convolutional layer while the model is called, and whether it convolves."""
    seen: list[Any] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[:] = [inputs[0], not isinstance(module, nn.Linear)]

    layers = [one for one in model.modules() if isinstance(one, nn.Linear | nn.modules.conv._ConvNd)]
    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _pictures(state: State, x: Tensor) -> Tensor:
    """Encoded images as pixels, at most `SIDE` wide and high: uint8 (n, 3, h, w)."""
    assert state.data is not None
    encoder = state.data.encoder
    if isinstance(encoder, Scale):
        x = x * encoder.scale.to(x.device) + encoder.shift.to(x.device)
    low, high = encoder.range if isinstance(encoder, Scale) else (float(x.min()), float(x.max()))
    shrink = min(1.0, SIDE / max(x.shape[-2:]))
    if shrink < 1:
        x = F.interpolate(x, scale_factor=shrink, mode="area")
    pixels = ((x - low) / max(high - low, 1e-12)).clamp(0, 1).mul(255).round().byte()
    return pixels if pixels.shape[1] == 3 else pixels.float().mean(1, keepdim=True).byte().expand(-1, 3, -1, -1)


def _write(state: State, points: Points) -> None:
    """The files: the config last, so that what it names is there."""
    from PIL import Image
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    folder, config = state.folder / FOLDER, ProjectorConfig()
    about = config.embeddings.add()
    about.tensor_name = f"last hidden layer, step {state.step}"
    about.tensor_path, about.metadata_path = f"{FOLDER}/points.tsv", f"{FOLDER}/labels.tsv"
    write_text(_table([map("{:.4g}".format, row) for row in points.hidden.tolist()]), folder / "points.tsv")
    write_text(_table(_labels(state, points)), folder / "labels.tsv")
    if points.pictures.dim() == 4:
        about.sprite.image_path = f"{FOLDER}/pictures.png"
        about.sprite.single_image_dim.extend([points.pictures.shape[3], points.pictures.shape[2]])
        with whole(folder / "pictures.png") as path:
            Image.fromarray(_side_by_side(points.pictures)).save(path, "png")
    write_text(str(config), state.folder / CONFIG)


def _labels(state: State, points: Points) -> list[list[str]]:
    """The true and the predicted class and whether they are the same, or the numbers and the error of each target."""
    if state.spec.task == "classification":
        names = [" ".join(name.split()) for name in state.spec.classes]
        y = points.y.argmax(1) if points.y.ndim > 1 else points.y
        pairs = zip(y.tolist(), predicted_classes(points.out.numpy()).tolist(), strict=True)
        rows = [[names[true], names[guess], "yes" if true == guess else "no"] for true, guess in pairs]
        return [["class", "predicted", "right"], *rows]
    y, out = (in_own_unit(state.spec, numbers) for numbers in (points.y, points.out))
    numbers = torch.stack([y, out, out - y], 2).flatten(1).tolist()
    of = [f" {t + 1}" if y.shape[1] > 1 else "" for t in range(y.shape[1])]
    head = [f"{name}{which}" for which in of for name in ("true", "predicted", "error")]
    return [head, *([f"{number:.4g}" for number in row] for row in numbers)]


def _table(rows: Any) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)


def _side_by_side(pictures: Tensor) -> Any:
    """Pictures (n, 3, h, w) row by row in a square (s·h, s·w, 3), the rest of it black."""
    count, _, height, width = pictures.shape
    side = math.ceil(math.sqrt(count))
    sheet = np.zeros((side * side, height, width, 3), np.uint8)
    sheet[:count] = pictures.permute(0, 2, 3, 1).numpy()
    return sheet.reshape(side, side, height, width, 3).transpose(0, 2, 1, 3, 4).reshape(side * height, side * width, 3)
