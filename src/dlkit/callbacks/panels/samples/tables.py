"""Texts and rows of tables with the model's answers, in Markdown as TensorBoard's Text tab renders it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dlkit import probe
from dlkit.callbacks.panels.samples.said import Said
from dlkit.callbacks.panels.samples.words import marked, plain, relevance
from dlkit.data.raw import Table
from dlkit.data.text.tokens import Tokens
from dlkit.state import State

COLUMNS = 12  # of a table, shown at most


def texts(state: State, rows: Tensor, said: Sequence[Said]) -> str:
    """Validation texts, a line each, with what mattered for the answer."""
    assert state.data is not None
    x, encoder, model = state.data.examples("val", rows).x, state.data.encoder, state.eval_model
    classifies = state.spec.task == "classification"
    with probe.quiet(model):
        mattered = relevance(model, x, _for_the_answer if classifies else lambda out: out[:, 0])
    contents = []
    for i in range(len(said)):
        words = encoder.decode(x[i]) if isinstance(encoder, Tokens) else [f" {n}" for n in x[i].tolist() if n]
        weights = [0.0] * len(words) if mattered is None else mattered[i, : len(words)].tolist()
        contents.append([marked(words, weights)])
    does = ("spoke for the answer", "against it") if classifies else ("raised the number", "lowered it")
    key = f"**Bold** {does[0]}, *italics* {does[1]} (gradient × input).\n\n"
    return (key if mattered is not None else "") + _table(said, ["text"], contents)


def cells(state: State, raw: Tensor | Table, said: Sequence[Said]) -> str:
    """Rows of a table, the first `COLUMNS` cells as they came."""
    numbers, words = (raw.numbers, raw.words) if isinstance(raw, Table) else (raw, [])
    names = raw.names if isinstance(raw, Table) else [f"x{i + 1}" for i in range(numbers.shape[1])]
    contents = [["" if n != n else f"{n:.4g}" for n in row] for row in numbers.tolist()]
    for row, more in zip(contents, zip(*words, strict=True), strict=False):
        row += map(plain, more)
    left = len(names) - COLUMNS
    if left > 0:
        names, contents = [*names[:COLUMNS], f"{left} more"], [[*row[:COLUMNS], "…"] for row in contents]
    return _table(said, list(map(plain, names)), contents)


def _for_the_answer(out: Tensor) -> Tensor:
    """The output of the predicted class (B, K) -> (B,); a single one, which speaks for the second, by its sign."""
    return out.amax(1) if out.shape[1] > 1 else out.abs().squeeze(1)


def _table(said: Sequence[Said], names: Sequence[str], contents: Sequence[Sequence[str]]) -> str:
    """Answers, wrong classes in bold, and what they are answers to."""
    lines = [["true → predicted" + ", p" * bool(said[0].sure), *names], ["---"] * (1 + len(names))]
    for one, content in zip(said, contents, strict=True):
        predicted = f"**{plain(one.predicted)}**" if one.is_wrong else plain(one.predicted)
        lines.append([f"{plain(one.true)} → {predicted}" + f", {one.sure}" * bool(one.sure), *content])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
