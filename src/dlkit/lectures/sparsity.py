"""L1 makes weights exactly zero, one after the other as it grows stronger; L2 makes all small and none zero.

Ten measurements of diabetes patients, a linear model, the mean squared error plus `γ Σ |w|` or `γ Σ w²`. Lines are the
exact paths, LASSO's as scikit-learn computes it with `α = γ/2` and ridge regression's `(XᵀX/N + γI)⁻¹ Xᵀy/N`; dots are
trained runs. Sparse does not mean better: what L1 buys is a model that names the measurements it uses. And the zeros
come from the orthant-wise step: the subgradient `γ sign(w)` alone would step over zero for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlkit.lectures.finding import Done, Finding, at_least, at_most
from dlkit.plots.style import axes_of, blank, line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 100  # strengths at which the exact paths are drawn
DIABETES = (
    *("age", "sex", "body mass index", "blood pressure", "total cholesterol"),
    *("LDL", "HDL", "total/HDL", "log triglycerides", "glucose"),
)


def figure(runs: Sequence[Done]) -> Finding:
    batch = runs[0].examples("train")
    x, y = batch.x.double().numpy(), batch.y[:, 0].double().numpy()
    picture = blank(10, 4.6)
    errors, zeros = {}, {}
    for axes, (name, exact) in zip(axes_of(picture, columns=2, sharey=True), EXACT.items(), strict=True):
        chosen = [run for run in runs if run.choices["model"] == name]
        gammas = np.array([run.options["regularizer.gamma"] for run in chosen])
        trained = np.stack([weights(run) for run in chosen])
        named = DIABETES if chosen[0].choices["data"] == "diabetes" else [f"{i + 1}" for i in range(x.shape[1])]
        _draw(axes, named, gammas, trained, exact(x, y, np.geomspace(gammas[0], gammas[-1], POINTS)))
        axes.set(title=TITLES[name], xlabel="strength γ", xscale="log")
        errors[name] = np.abs(trained - exact(x, y, gammas)).max()
        zeros[name] = (trained == 0).mean(axis=1)
    picture.axes[0].set_ylabel("weight of each measurement")
    picture.legend(*picture.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return Finding(
        picture,
        [
            at_least("L1, strongest: weights exactly zero, share", zeros["lasso"][-1], 0.7),
            at_most("L1, weakest: weights exactly zero, share", zeros["lasso"][0], 0.4),
            at_least("L1: least growth of that share as γ grows", np.diff(zeros["lasso"]).min(), 0),
            at_most("L2: weights exactly zero, share at any γ", zeros["ridge"].max(), 0),
            at_most("largest difference to scikit-learn's LASSO", errors["lasso"], 0.005),
            at_most("largest difference to ridge's closed form", errors["ridge"], 0.005),
        ],
    )


def weights(run: Done) -> np.ndarray:
    """The weights (F,) of a linear model with one output."""
    found = [p for name, p in run.model().model.named_parameters() if name.endswith("weight")]
    return found[0].detach().double().numpy().ravel()


def lasso(x: np.ndarray, y: np.ndarray, gammas: np.ndarray) -> np.ndarray:
    """The weights (len(gammas), F) that make `mean (y − xw − b)² + γ Σ |w|` least."""
    from sklearn.linear_model import lasso_path

    coefficients = lasso_path(x - x.mean(0), y - y.mean(), alphas=gammas / 2, tol=1e-8, max_iter=100_000)[1]
    return np.asarray(coefficients).T[::-1]  # it begins with the strongest


def ridge(x: np.ndarray, y: np.ndarray, gammas: np.ndarray) -> np.ndarray:
    """The weights (len(gammas), F) that make `mean (y − xw − b)² + γ Σ w²` least."""
    x, y = x - x.mean(0), y - y.mean()
    gram, moment = x.T @ x / len(x), x.T @ y / len(x)
    return np.stack([np.linalg.solve(gram + gamma * np.eye(len(gram)), moment) for gamma in gammas])


EXACT = {"lasso": lasso, "ridge": ridge}
TITLES = {"lasso": "L1: γ Σ |w|", "ridge": "L2: γ Σ w²"}


def _draw(axes: Axes, names: Sequence[str], gammas: np.ndarray, trained: np.ndarray, exact: np.ndarray) -> None:
    axes.axhline(0, color="#888888", linewidth=0.8)
    for i, name in enumerate(names):
        style = line(i)
        axes.plot(np.geomspace(gammas[0], gammas[-1], len(exact)), exact[:, i], **style, linewidth=1.2, label=name)
        zero = trained[:, i] == 0
        axes.plot(gammas[~zero], trained[~zero, i], "o", color=style["color"], markersize=4)
        axes.plot(gammas[zero], trained[zero, i], "o", color=style["color"], markersize=5, fillstyle="none")
    for gamma, row in zip(gammas, trained, strict=True):
        axes.text(gamma, 0.98, f"{(row == 0).sum()}", ha="center", va="top", transform=axes.get_xaxis_transform())
    axes.text(0.5, 0.93, "weights that are exactly zero", ha="center", va="top", transform=axes.transAxes)
    axes.set_ylim(-0.5, 0.65)
