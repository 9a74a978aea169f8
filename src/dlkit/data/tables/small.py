"""Small tables of numbers that come with scikit-learn: real, offline."""

from __future__ import annotations

import numpy as np
import torch

from dlkit.data.examples import Examples
from dlkit.data.reading.installed import installed


def diabetes() -> Examples:
    """442 patients, 10 measurements, and how far their diabetes had come a year later, 25 to 346 (Efron et al. 2004).

    Measurements in their own units: age, sex (1 or 2), body mass index, blood pressure and six of blood serum. Targets
    are as measured too, so squared errors are of the order of thousands.
    """
    x = np.loadtxt(installed("diabetes", "diabetes_data_raw.csv.gz"), dtype=np.float64)
    y = np.loadtxt(installed("diabetes", "diabetes_target.csv.gz"), dtype=np.float64)
    train = (torch.from_numpy(x).float(), torch.from_numpy(y).float().unsqueeze(1))
    return Examples("tabular", "regression", {"train": train})


def breast_cancer() -> Examples:
    """569 tumours, 30 measurements of their cell nuclei: malignant or benign (Street et al. 1993)."""
    return _classes("breast_cancer", "breast_cancer.csv")


def wine() -> Examples:
    """178 wines, 13 chemical measurements, from three growers (Aeberhard and Forina 1992)."""
    return _classes("wine", "wine_data.csv")


def iris() -> Examples:
    """150 flowers, length and width of sepals and petals in cm, of three species (Fisher 1936)."""
    return _classes("iris", "iris.csv")


def _classes(choice: str, name: str) -> Examples:
    """A file whose first line is `examples,columns,class,class…` and whose others end with the number of the class."""
    path = installed(choice, name)
    with path.open(encoding="utf-8") as file:
        classes = file.readline().strip().split(",")[2:]
    table = torch.from_numpy(np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float64))
    train = (table[:, :-1].float(), table[:, -1].long())
    return Examples("tabular", "classification", {"train": train}, tuple(classes))
