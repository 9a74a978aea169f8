import pytest
import torch

from dlkit.data import Examples, Ragged, Table, Texts

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
            {"train": (TABLE.long(), LABELS)},
            r"int64 \(4, 2\), expected float32 or float64 \(N, F\)",
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
        ("tabular", "regression", {"train": (1 / TABLE, NUMBERS)}, "8 of 8 values are infinite"),
        ("image", "classification", {"train": (IMAGES / 0, LABELS)}, "36 of 36 values are NaN or infinite"),
        ("text", "classification", {"train": (["a"] * 4, LABELS)}, "x of the train split: list, expected Texts"),
        ("tabular", "classification", {"train": (Texts(["a"] * 4), LABELS)}, "Texts, expected float32 or float64"),
        ("tabular", "classification", {"train": (Table(1 / TABLE), LABELS)}, "8 of 8 values are infinite"),
        (
            "tabular",
            "classification",
            {"train": (Table(TABLE), LABELS), "test": (Table(TABLE, names=["0", "x"]), LABELS)},
            r"x of the test split: columns \['0', 'x'\], expected those of train, \['0', '1'\]",
        ),
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


SOUNDS = Ragged(torch.zeros(10), torch.tensor([3, 0, 5, 2]))


@pytest.mark.parametrize(
    ("x", "rate", "message"),
    [
        (SOUNDS, None, "Examples.sample_rate is missing: waveforms need it, in Hz"),
        (SOUNDS, 8000, "x of the train split: 1 of 4 waveforms have no samples; leave them out"),
        (Ragged(torch.zeros(8, 2), torch.full((4,), 2)), 8000, r"float32 \(8, 2\), expected float32 samples"),
        (Ragged(torch.full((8,), torch.nan), torch.full((4,), 2)), 8000, "8 of 8 values are NaN or infinite"),
        (TABLE.double(), 8000, r"float64 \(4, 2\), expected float32 \(N, T\) or Ragged"),
    ],
)
def test_waveforms_of_the_wrong_form_are_refused(x, rate, message):
    with pytest.raises(ValueError, match=message):
        Examples("waveform", "classification", {"train": (x, LABELS)}, sample_rate=rate)


def test_a_missing_value_of_a_table_is_allowed():
    Examples("tabular", "classification", {"train": (TABLE / 0, LABELS)})
    Examples("tabular", "classification", {"train": (Table(TABLE / 0, [["a", "", "b", ""]]), LABELS)})


def test_groups_are_one_number_for_each_training_example():
    with pytest.raises(ValueError, match=r"Examples.groups: int64 \(3,\), expected one number for each training"):
        Examples("tabular", "classification", {"train": (TABLE, LABELS)}, groups=torch.arange(3))


def test_the_fingerprint_of_texts_changes_with_a_single_letter_and_with_their_order():
    def fingerprint(*texts):
        return Examples("text", "classification", {"train": (Texts(texts), LABELS)}).fingerprint()

    digests = [fingerprint(*words) for words in (("a", "b", "c", "d"), ("a", "b", "c", "D"), ("b", "a", "c", "d"))]
    assert len(set(digests)) == 3 and digests[0] == fingerprint("a", "b", "c", "d")


def test_splits_held_in_different_ways_are_refused():
    table, tensor = Table(torch.zeros(4, 2)), torch.zeros(4, 2)
    y = torch.tensor([0, 1, 0, 1])
    for train, test in ((table, tensor), (tensor, table)):
        with pytest.raises(ValueError, match=r"x of the test split: .*, expected .* as in train"):
            Examples("tabular", "classification", {"train": (train, y), "test": (test, y)})
