import pytest
import torch

from dlkit.data import Examples

IMAGES, TABLE = torch.zeros(4, 1, 3, 3, dtype=torch.uint8), torch.zeros(4, 2)
LABELS, NUMBERS = torch.tensor([0, 1, 0, 1]), torch.zeros(4, 1)


def test_classes_without_names_are_numbers():
    assert Examples("tabular", "classification", {"train": (TABLE, LABELS)}).classes == ("0", "1")


@pytest.mark.parametrize(
    ("kind", "task", "splits", "message"),
    [
        ("picture", "classification", {"train": (IMAGES, LABELS)}, "kind='picture': expected one of image, tabular"),
        ("image", "ranking", {"train": (IMAGES, LABELS)}, "task='ranking': expected classification or regression"),
        ("image", "classification", {"test": (IMAGES, LABELS)}, "splits has test: expected train"),
        ("image", "classification", {"train": (IMAGES[:, 0], LABELS)}, r"uint8 \(4, 3, 3\), expected uint8 or float32"),
        (
            "tabular",
            "classification",
            {"train": (TABLE.double(), LABELS)},
            r"float64 \(4, 2\), expected float32 \(N, F\)",
        ),
        ("tabular", "classification", {"train": (TABLE[:0], LABELS[:0])}, "x of the train split is empty"),
        ("tabular", "classification", {"train": (TABLE, LABELS[:3])}, "3 targets for 4 examples"),
        (
            "tabular",
            "classification",
            {"train": (TABLE, LABELS.int())},
            r"y of the train split: int32 \(4,\), expected int64",
        ),
        ("tabular", "classification", {"train": (TABLE, LABELS - 1)}, "smallest label -1, expected labels from 0"),
        ("tabular", "regression", {"train": (TABLE, NUMBERS[:, 0])}, r"float32 \(4,\), expected float32 \(N, T\)"),
        ("tabular", "regression", {"train": (TABLE / 0, NUMBERS)}, "8 of 8 values are NaN or infinite"),
        ("tabular", "regression", {"train": (TABLE, NUMBERS / 0)}, "y of the train split: 4 of 4 values are NaN"),
        (
            "tabular",
            "classification",
            {"train": (TABLE, LABELS), "val": (TABLE[:, :1], LABELS)},
            r"x of the val split: float32 \(4, 1\), expected the shape of train",
        ),
    ],
)
def test_examples_of_the_wrong_form_are_refused(kind, task, splits, message):
    with pytest.raises(ValueError, match=message):
        Examples(kind, task, splits)


def test_a_label_without_a_name_is_refused():
    with pytest.raises(ValueError, match="label 1 in y, expected at most 0: 1 classes"):
        Examples("tabular", "classification", {"train": (TABLE, LABELS)}, classes=("cat",))
