"""The linear models reach the optimum that scikit-learn or a closed form gives, under plain and adaptive descent.

scikit-learn scales its objectives differently: Lasso's is ½ mean squared error + α ‖w‖₁; those of LogisticRegression
and SVC are C times a sum over examples, with natural logarithms, + ½ ‖w‖² or ‖w‖₁.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_configs import config

from dlkit.build import build
from dlkit.data.examples import Examples
from dlkit.trainer import fit

Objective = Callable[[np.ndarray, float], float]
OPTIMISERS = ["sgd", "momentum", "adam"]


def diabetes() -> Examples:
    """Inputs and target of mean 0 and deviation 1, all of them for training."""
    x, y = arrays("diabetes")
    return Examples("tabular", "regression", {"train": (torch.tensor(x).float(), torch.tensor(y).float()[:, None])})


def breast_cancer() -> Examples:
    """Inputs of mean 0 and deviation 1, all of them for training."""
    x, y = arrays("breast_cancer")
    return Examples("tabular", "classification", {"train": (torch.tensor(x).float(), torch.tensor(y).long())})


@cache
def arrays(name: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    return x, (y - y.mean()) / y.std() if name == "diabetes" else y


def trained(place: Path, data: str, *overrides: str, steps: int) -> tuple[np.ndarray, float]:
    """Weights and bias of a linear model after so many steps, each on all examples."""
    choices = ["model=linreg", f"data._target_=test_optima.{data}", "data.val_fraction=0", "data.test_fraction=0"]
    choices += ["data.scale_target=false", "data.batch_size=full", "callbacks=minimal", f"trainer.max_steps={steps}"]
    run = build(config(*choices, *overrides), place)
    fit(run.state, run.engine, run.data, run.schedule, eval_every=steps, log_every=steps)
    weight, bias = (p.detach().double().numpy() for p in run.state.model.parameters())
    return weight[0], float(bias[0])


def regression(penalty: Callable[[np.ndarray], float]) -> Objective:
    x, y = arrays("diabetes")
    return lambda w, b: float(((x @ w + b - y) ** 2).mean() + penalty(w))


def classification(phi: Callable[[np.ndarray], np.ndarray], penalty: Callable[[np.ndarray], float]) -> Objective:
    x, y = arrays("breast_cancer")
    return lambda w, b: float(phi((2 * y - 1) * (x @ w + b)).mean() + penalty(w))


def l1(gamma: float) -> Callable[[np.ndarray], float]:
    return lambda w: gamma * float(np.abs(w).sum())


def l2(gamma: float) -> Callable[[np.ndarray], float]:
    return lambda w: gamma * float((w**2).sum())


def bits(margin: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, -margin) / log(2)


def excess(objective: Objective, ours: tuple[np.ndarray, float], model: Any) -> float:
    """By how much of it our objective is above that of scikit-learn's solution."""
    best = objective(np.ravel(model.coef_), float(np.ravel(model.intercept_)[0]))
    return objective(*ours) / best - 1


def optim(name: str, **rates: float) -> list[str]:
    return [f"optim={name}", f"optim.lr={rates[name]}"]


@pytest.mark.parametrize(
    ("name", "gamma"),
    [
        pytest.param("sgd", 0.0, marks=pytest.mark.slow),
        *[(name, gamma) for name in OPTIMISERS for gamma in (0.0, 0.05) if (name, gamma) != ("sgd", 0.0)],
    ],
)
def test_linear_and_ridge_regression_reach_the_closed_form(name: str, gamma: float, tmp_path: Path) -> None:
    from sklearn.linear_model import Ridge

    choices = ["loss=mse", "regularizer=l2", f"regularizer.gamma={gamma}"]
    choices += optim(name, sgd=0.24, momentum=0.05, adam=0.05)
    steps = 400 if gamma else 2500 if name == "sgd" else 1500
    w, b = trained(
        tmp_path, "diabetes", *choices, "scheduler=constant" if name != "adam" else "scheduler=cosine", steps=steps
    )
    x, y = arrays("diabetes")
    closed = np.linalg.solve(x.T @ x + len(y) * gamma * np.eye(10), x.T @ y)  # (XᵀX + λI)⁻¹ Xᵀy, λ = nγ
    assert np.abs(w - closed).max() < 1e-3
    assert abs(b) < 1e-5
    assert excess(regression(l2(gamma)), (w, b), Ridge(alpha=len(y) * gamma).fit(x, y)) < 1e-6


@pytest.mark.parametrize("gamma", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_lasso_has_the_optimum_and_the_support_of_scikit_learn(name: str, gamma: float, tmp_path: Path) -> None:
    from sklearn.linear_model import Lasso

    choices = ["loss=mse", "regularizer=l1", f"regularizer.gamma={gamma}", "scheduler=cosine"]
    choices += optim(name, sgd=0.24, momentum=0.05, adam=0.05)
    w, b = trained(tmp_path, "diabetes", *choices, steps=500)
    model = Lasso(alpha=gamma / 2, tol=1e-12, max_iter=10**6).fit(*arrays("diabetes"))
    assert abs(excess(regression(l1(gamma)), (w, b), model)) < 1e-4
    assert np.array_equal(w != 0, model.coef_ != 0)
    assert 0 < (w == 0).sum() < 10


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_elastic_net_has_the_optimum_of_scikit_learn(name: str, tmp_path: Path) -> None:
    from sklearn.linear_model import ElasticNet

    first, second = 0.1, 0.05
    choices = ["loss=mse", "regularizer=elastic_net", f"regularizer.l1={first}", f"regularizer.l2={second}"]
    choices += optim(name, sgd=0.2, momentum=0.05, adam=0.05)
    w, b = trained(tmp_path, "diabetes", *choices, "scheduler=cosine", steps=300)
    alpha = first / 2 + second  # α ρ = γ₁/2, α (1 − ρ)/2 = γ₂/2
    model = ElasticNet(alpha=alpha, l1_ratio=first / 2 / alpha, tol=1e-12, max_iter=10**6).fit(*arrays("diabetes"))
    both = regression(lambda w: l1(first)(w) + l2(second)(w))
    assert abs(excess(both, (w, b), model)) < 1e-4
    assert np.array_equal(w != 0, model.coef_ != 0)


@pytest.mark.parametrize("name", ["sgd", "momentum"])
@pytest.mark.parametrize("ball", ["l1_ball", "l2_ball"])
def test_the_constrained_form_is_the_penalised_one_of_the_same_size(name: str, ball: str, tmp_path: Path) -> None:
    """A projection finds the optimum where a step goes along the gradient; Adam's does not, so it ends elsewhere."""
    from sklearn.linear_model import Lasso, Ridge

    x, y = arrays("diabetes")
    model = (Lasso(alpha=0.05, tol=1e-12) if ball == "l1_ball" else Ridge(alpha=20)).fit(x, y)
    tau = float((np.abs(model.coef_) if ball == "l1_ball" else model.coef_**2).sum())
    choices = ["loss=mse", f"regularizer={ball}", f"regularizer.tau={tau}"]
    choices += optim(name, sgd=0.2, momentum=0.05)
    w, b = trained(tmp_path, "diabetes", *choices, "scheduler=cosine", steps=400)
    assert abs(excess(regression(lambda w: 0), (w, b), model)) < 1e-4
    assert np.abs(w - model.coef_).max() < 2e-3


@pytest.mark.parametrize("name", OPTIMISERS)
def test_logistic_regression_with_l2_has_the_optimum_of_scikit_learn(name: str, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    gamma = 0.03
    choices = ["loss=logistic", "regularizer=l2", f"regularizer.gamma={gamma}", "scheduler=cosine"]
    choices += optim(name, sgd=0.35, momentum=0.1, adam=0.05)
    x, y = arrays("breast_cancer")
    w, b = trained(tmp_path, "breast_cancer", *choices, steps=600)
    model = LogisticRegression(C=1 / (2 * gamma * log(2) * len(y)), tol=1e-10, max_iter=10**4).fit(x, y)
    assert abs(excess(classification(bits, l2(gamma)), (w, b), model)) < 1e-4


@pytest.mark.parametrize("name", [pytest.param("sgd", marks=pytest.mark.slow), "momentum", "adam"])
def test_logistic_regression_with_l1_has_the_optimum_and_the_support_of_scikit_learn(name: str, tmp_path: Path) -> None:
    gamma = 0.1
    choices = ["loss=logistic", "regularizer=l1", f"regularizer.gamma={gamma}"]
    choices += optim(name, sgd=0.4, momentum=0.3, adam=0.1)
    steps = 4000 if name == "sgd" else 1000
    w, b = trained(
        tmp_path, "breast_cancer", *choices, f"scheduler={'cosine' if name == 'adam' else 'constant'}", steps=steps
    )
    model = sparse_logistic(gamma)
    assert abs(excess(classification(bits, l1(gamma)), (w, b), model)) < 1e-4
    assert np.array_equal(w != 0, model.coef_[0] != 0)
    assert (w == 0).sum() > 20


@cache
def sparse_logistic(gamma: float) -> Any:
    """saga, since liblinear penalises the bias as well."""
    from sklearn.linear_model import LogisticRegression

    x, y = arrays("breast_cancer")
    inverse = 1 / (gamma * log(2) * len(y))
    l1 = {"penalty": "l1"} if LogisticRegression().l1_ratio is None else {"l1_ratio": 1}  # before 1.8, and since
    return LogisticRegression(C=inverse, **l1, solver="saga", tol=1e-8, max_iter=10**4, random_state=0).fit(x, y)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_linear_svm_has_the_optimum_of_scikit_learn(name: str, tmp_path: Path) -> None:
    from sklearn.svm import SVC

    gamma = 0.1
    choices = ["loss=hinge", "regularizer=l2", f"regularizer.gamma={gamma}", "scheduler=cosine"]
    choices += optim(name, sgd=0.1, momentum=0.05, adam=0.05)
    w, b = trained(tmp_path, "breast_cancer", *choices, steps=400)
    x, y = arrays("breast_cancer")
    model = SVC(kernel="linear", C=1 / (2 * gamma * len(y)), tol=1e-6).fit(x, y)
    hinge = classification(lambda margin: np.maximum(0, 1 - margin), l2(gamma))
    assert abs(excess(hinge, (w, b), model)) < 1e-4
