"""Examples of the validation split in TensorBoard, as one sees, hears or reads them, with the model's answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlkit import probe
from dlkit.callbacks.panels.panel import Board, Panel, answers
from dlkit.callbacks.panels.samples.pictures import images_of
from dlkit.callbacks.panels.samples.said import Said, told, worst
from dlkit.callbacks.panels.samples.sounds import playable, power, wave
from dlkit.callbacks.panels.samples.tables import cells, texts
from dlkit.plots.tiles import Pixels, spectrograms, tiled
from dlkit.state import State
from dlkit.types import PositiveInt

CLIPS, SECONDS = 4, 3.0  # sounds to play at most, and how much of each


class Samples(Panel):
    """`count` examples of the validation split with the model's answers, and as many that it is most wrong about.

    The first are the same each time, spread over the split; the others are those that `dlkit evaluate` lists: wrong
    classes, the surest first, or the largest errors. Images, and sounds as spectrograms, are a sheet in the Images tab,
    wrong classes framed; the first sounds can be played in the Audio tab; texts are in the Text tab, what spoke for
    the predicted class in bold and what against it in italics (gradient × input); rows of tables there, too, in their
    own units. Of runs trained as one model there are no worst examples.
    """

    wants_outputs = True

    def __init__(self, *, count: PositiveInt = 16) -> None:
        self.count = count

    def draw(self, state: State, board: Board) -> None:
        assert state.data is not None
        order, found = state.data.order("val"), answers(state)
        if found is None:
            rows = order[_spread(len(order), self.count)]
            self._show("samples", state, board, rows, *_asked(state, rows))
            return
        out, y = found
        order = order[: len(y)]  # fewer with trainer.limit_batches
        for name, chosen in (("samples", _spread(len(y), self.count)), ("worst", worst(state, out, y, self.count))):
            if len(chosen):
                self._show(name, state, board, order[chosen], out[chosen], y[chosen])

    def _show(self, name: str, state: State, board: Board, rows: Tensor, out: Tensor, y: Tensor) -> None:
        """Examples with their answers, under a name, in the tab that suits them."""
        assert state.data is not None
        said, kind, tag, step = told(state, out, y), state.spec.kind, f"val/{name}", state.step
        if kind == "tokens":
            board.writer.add_text(tag, texts(state, rows, said), step)
            return
        raw = state.data.raw("val", rows)
        if raw is None:  # too many bytes to be kept
            return
        if kind == "tabular":
            board.writer.add_text(tag, cells(state, raw, said), step)
        elif kind == "image":
            board.picture(tag, _sheet(images_of(state, raw), [one.caption() for one in said], said), step)
        elif kind == "waveform" and state.spec.sample_rate:
            _sounds(tag, state, board, [wave(raw, i) for i in range(len(rows))], said)


def _sounds(tag: str, state: State, board: Board, waves: Sequence[Tensor], said: Sequence[Said]) -> None:
    """Spectrograms on a sheet, and the first sounds to be played, with the same numbers."""
    rate = state.spec.sample_rate
    assert rate is not None
    captions = [
        [*one.caption(f"{i}: "), f"{len(samples) / rate:.2f} s, 0–{rate / 2000:g} kHz"]
        for i, (one, samples) in enumerate(zip(said, waves, strict=True), start=1)
    ]
    drawn = spectrograms([power(samples, rate) for samples in waves])
    board.picture(tag, _sheet(drawn, captions, said), state.step)
    for i, samples in enumerate(waves[:CLIPS], start=1):
        board.writer.add_audio(f"{tag}/{i}", playable(samples[: round(SECONDS * rate)]), state.step, rate)


def _sheet(pictures: Sequence[Pixels], captions: Sequence[Sequence[str]], said: Sequence[Said]) -> bytes:
    return tiled(pictures, captions, [one.is_wrong for one in said])


def _asked(state: State, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The model's outputs for these rows, and their targets, on the CPU."""
    assert state.data is not None and state.measure is not None
    x, y = state.data.examples("val", rows)
    with probe.quiet(state.eval_model):
        return state.measure.forward(state.eval_model, x).float().cpu(), y.cpu()


def _spread(size: int, count: int) -> Tensor:
    """At most `count` whole numbers, evenly from 0 to size − 1."""
    return torch.linspace(0, size - 1, min(size, count)).round().long()
