"""Pictures of a trained model's answers. Each function gives a matplotlib figure; `save` writes it."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlkit.evaluation.figures import Array, calibration_error, reliability_bins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAIN, GAP, GRID = "#3b6fb6", "#d9822b", "#dddddd"
COUNTED = 20  # classes: with more, counts do not fit into their cells
NAMED = 200  # classes: with more, names would be too small to read
LETTERS = 24  # of a name
POINTS = 5000  # drawn at most in a cloud
SHEET = 25  # images at most, five in a row
TARGETS = 4  # drawn at most


def save(figure: Figure, path: Path) -> None:
    """Writes the picture in the format that the file's name says; letters that the font lacks become boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure.savefig(path, dpi=150, bbox_inches="tight")


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """The confusion matrix (K, K), rows true classes: the colour is the share of the row, the number the count."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    counts = np.asarray(matrix)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 4 + 0.35 * len(counts) if len(counts) <= COUNTED else 6 + 0.1 * len(counts) if len(counts) <= NAMED else 10
    figure, axes = _figure((side + 1.5, side + 0.5))
    norm = PowerNorm(0.4, 0, 1)  # so that the few errors of a good model are seen
    image = axes.imshow(share, LinearSegmentedColormap.from_list("share", ["white", MAIN]), norm, interpolation="none")
    figure.colorbar(image, ax=axes, fraction=0.04, label="share of the true class")
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    axes.set(xlabel="predicted", ylabel="true", title=f"accuracy {accuracy:.4f} of {counts.sum():,} examples")
    if len(counts) <= NAMED:
        size = min(9.0, 60 * side / len(counts))
        names = [_short(name) for name in classes]
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
        axes.set_yticks(range(len(names)), names, fontsize=size)
    if len(counts) <= COUNTED:
        size = min(9.0, 75 * side / len(counts) / len(f"{counts.max():,}"))
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if share[row, column] > 0.35 else "black"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=size)
    return figure


def reliability(confidence: Array, correct: NDArray[np.bool_]) -> Figure:
    """The reliability diagram: accuracy against confidence (N,), the probability of the predicted class, and below how
    many examples have which confidence."""
    counts, mean, accuracy = reliability_bins(confidence, correct)
    figure, _ = _figure((5, 6), axes=False)
    axes, below = figure.subplots(2, sharex=True, height_ratios=[3, 1])
    for each in (axes, below):
        _plain_axes(each)
    width, some = 1 / len(counts), counts > 0
    centres = (np.arange(len(counts)) + 0.5) * width
    axes.bar(centres[some], accuracy[some], width, color=MAIN, edgecolor="white", label="accuracy")
    gap = (mean - accuracy)[some]
    axes.bar(centres[some], gap, width / 3, accuracy[some], color=GAP, label="gap to the mean confidence")
    axes.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--", label="perfectly calibrated")
    error = calibration_error(counts, mean, accuracy)
    axes.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), title=f"expected calibration error {error:.4f}")
    axes.legend(loc="upper left", fontsize=8)
    below.bar(centres, counts / counts.sum(), width, color=MAIN, edgecolor="white")
    below.set(xlabel="confidence", ylabel="share of examples")
    for value, style, name in ((correct.mean(), "-", "accuracy"), (confidence.mean(), ":", "mean confidence")):
        below.axvline(float(value), color="black", linewidth=1, linestyle=style, label=f"{name} {value:.4f}")
    below.legend(fontsize=8)
    return figure


def predicted(y: Array, out: Array) -> Figure:
    """Predicted against true numbers (N, T) with the diagonal, and the errors against the predicted.

    Of many, the first `TARGETS` targets and `POINTS` examples drawn by chance.
    """
    some = np.random.default_rng(0).permutation(len(y))[:POINTS]
    targets = min(y.shape[1], TARGETS)
    figure, _ = _figure((8.5, 4 * targets), axes=False)
    for t, (left, right) in enumerate(figure.subplots(targets, 2, squeeze=False)):
        true, guess = y[some, t], out[some, t]
        ends = [min(true.min(), guess.min()), max(true.max(), guess.max())]
        for axes, x, height, line in ((left, true, guess, ends), (right, guess, guess - true, [0, 0])):
            _plain_axes(axes)
            axes.scatter(x, height, s=9, alpha=0.5, color=MAIN, linewidths=0)
            axes.plot(ends, line, color="black", linewidth=1, linestyle="--")
        of = f" (target {t + 1})" if y.shape[1] > 1 else ""
        left.set(xlabel=f"true{of}", ylabel="predicted")
        right.set(xlabel=f"predicted{of}", ylabel="error: predicted − true")
    shown = f"{len(some):,} of {len(y):,} examples" if len(some) < len(y) else f"{len(y):,} examples"
    figure.suptitle(shown + (f", {targets} of {y.shape[1]} targets" if targets < y.shape[1] else ""), fontsize=10)
    return figure


def sheet(images: NDArray[Any], captions: Sequence[str]) -> Figure:
    """The first `SHEET` of the images (n, C, H, W) with their captions, pixels as they are.

    uint8 0 to 255 or float 0 to 1; floats beyond that are brought there, all alike. Three channels are colours; any
    other number is shown as the mean, grey.
    """
    shown = images[:SHEET].astype(np.float64) / (255 if images.dtype == np.uint8 else 1)
    if shown.size and (shown.min() < 0 or shown.max() > 1):
        shown = (shown - shown.min()) / max(np.ptp(shown), 1e-12)
    across = max(1, min(5, len(shown)))
    down = max(1, -(-len(shown) // across))
    figure, _ = _figure((2 * across, 2.3 * down), axes=False)
    places = figure.subplots(down, across, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, image, caption in zip(places, shown, captions, strict=False):
        pixels = image.transpose(1, 2, 0) if len(image) == 3 else image.mean(0)
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        lines = textwrap.wrap(caption, 30, max_lines=3, placeholder=" …")
        axes.set_title(_no_formula("\n".join(lines)), fontsize=8)
    return figure


def _short(name: str) -> str:
    """A name in one line of `LETTERS` at most."""
    line = " ".join(name.split())
    return _no_formula(line if len(line) <= LETTERS else line[: LETTERS - 1] + "…")


def _no_formula(text: str) -> str:
    """What is between dollar signs would be taken for a formula."""
    return text.replace("$", r"\$")


def _figure(size: tuple[float, float], *, axes: bool = True) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure  # 0.3 s: only here

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot() if axes else None


def _plain_axes(axes: Axes) -> None:
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
