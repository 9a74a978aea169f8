"""The encoder of tables against scikit-learn, Scale, the formula written out, and itself after saving."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, QuantileTransformer, StandardScaler

from dlkit.data.raw import Table
from dlkit.data.scale import Scale
from dlkit.data.tables.columns import Categories, Columns
from dlkit.data.tables.numeric import Normalize

NAN = float("nan")
ALL = get_args(Normalize)


def numbers(count: int = 500) -> torch.Tensor:
    """Skewed, with many equal values, large, of two values, and one that never varies; float64 (count, 5)."""
    x = torch.randn(count, 5, dtype=torch.float64)
    x[:, 0] = x[:, 0].exp()
    x[:, 1] = (x[:, 1] * 2).round().clamp(min=0)
    x[:, 2] = 1e6 + x[:, 2]
    x[:, 3] = (x[:, 3] > 0).double()
    x[:, 4] = 7
    return x


def fitted(raw: torch.Tensor | Table, **options: object) -> Columns:
    columns = Columns(**options)  # type: ignore[arg-type]
    columns.fit(raw)
    return columns


@pytest.mark.parametrize("normalize", ["none", "standardize", "minmax"])
def test_numbers_without_gaps_are_encoded_as_scale_does(normalize: str) -> None:
    train, other = numbers().float(), numbers(50).float()
    scale = Scale(normalize=normalize)  # type: ignore[arg-type]
    scale.fit(train)
    assert torch.equal(fitted(train, normalize=normalize).encode(other), scale.encode(other))


@pytest.mark.parametrize(("normalize", "scaler"), [("standardize", StandardScaler()), ("minmax", MinMaxScaler())])
def test_scaled_columns_are_those_of_scikit_learn(normalize: str, scaler: StandardScaler) -> None:
    train, other = numbers(), numbers(50)
    expected = scaler.fit(train.numpy()).transform(other.numpy()).astype(np.float32)
    ours = fitted(train, normalize=normalize).encode(other)
    torch.testing.assert_close(ours, torch.from_numpy(expected), atol=0.05, rtol=0)  # the float32 mean of 1e6 ± 1
    torch.testing.assert_close(ours[:, [0, 1, 3, 4]], torch.from_numpy(expected)[:, [0, 1, 3, 4]], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("count", [40, 3000])
def test_quantiles_are_those_of_scikit_learn(count: int) -> None:
    train, other = numbers(count)[:, :4], numbers(200)[:, :4]
    scaler = QuantileTransformer(output_distribution="normal", n_quantiles=min(1000, count), subsample=None)
    expected = scaler.fit(train.numpy()).transform(other.numpy()).astype(np.float32)
    ours = fitted(train, normalize="quantile").encode(other)
    torch.testing.assert_close(ours, torch.from_numpy(expected), atol=1e-4, rtol=1e-4)


def by_formula(x: float, edges: list[float]) -> list[float]:
    """Gorishniy et al. 2022, eq. 1, for one number."""
    count = len(edges) - 1
    out = []
    for t in range(1, count + 1):
        low, high = edges[t - 1], edges[t]
        if x < low and t > 1:
            out.append(0.0)
        elif x >= high and t < count:
            out.append(1.0)
        else:
            out.append((x - low) / (high - low))
    return out


def test_a_piecewise_linear_encoding_is_the_formula_of_the_paper() -> None:
    train = numbers(300)[:, :1]
    edges = np.quantile(train[:, 0].numpy(), np.linspace(0, 1, 6)).tolist()
    beyond = [edges[0] - 1, edges[0], edges[2], (edges[2] + edges[3]) / 2, edges[-1], edges[-1] + 2]
    ours = fitted(train, normalize="ple", bins=5).encode(torch.tensor(beyond).double()[:, None])
    torch.testing.assert_close(ours, torch.tensor([by_formula(x, edges) for x in beyond]), atol=1e-5, rtol=1e-5)


def test_a_piecewise_linear_encoding_keeps_all_of_a_number() -> None:
    """The bins, each times its width, add up to the number less its least value."""
    train = numbers(300)[:, :1]
    columns = fitted(train, normalize="ple", bins=7)
    other = torch.linspace(-3, 20, 40, dtype=torch.float64)[:, None]
    back = columns.encode(other).double() @ columns.numeric["width"]
    torch.testing.assert_close(back, other[:, 0] - train.min(), atol=1e-4, rtol=1e-4)


def test_equal_quantiles_become_one_bin_and_a_column_that_never_varies_has_one() -> None:
    columns = fitted(numbers(), normalize="ple", bins=10)
    counts = torch.bincount(columns.numeric["column"])
    assert counts[0] == 10
    assert 1 < counts[1] < 10
    assert counts[3:].tolist() == [1, 1]
    assert (columns.encode(numbers())[:, -1] == 0).all()
    assert fitted(numbers(), normalize="ple", bins=1).encode(numbers()).shape[1] == 5


@pytest.mark.parametrize("normalize", ALL)
def test_a_missing_number_becomes_the_median_and_is_marked(normalize: str) -> None:
    train = numbers()
    train[:7, 1] = NAN
    columns = fitted(train, normalize=normalize)
    missing = numbers(3)
    filled = missing.clone()
    missing[0, 1] = missing[1, 0] = NAN
    filled[0, 1], filled[1, 0] = np.nanmedian(train[:, :2].numpy(), 0)[::-1].tolist()
    ours, expected = columns.encode(missing), columns.encode(filled)
    assert ours[:, -1].tolist() == [1, 0, 0]
    torch.testing.assert_close(ours[:, :-1], expected[:, :-1])


@pytest.mark.parametrize("normalize", ALL)
def test_no_column_becomes_nan(normalize: str) -> None:
    train = numbers()
    train[:, 0] = NAN
    train[::2, 4] = NAN
    out = fitted(train, normalize=normalize).encode(torch.full((3, 5), NAN, dtype=torch.float64))
    assert out.isfinite().all()
    assert out[:, -2:].tolist() == [[1, 1]] * 3


def table(count: int = 60) -> Table:
    colour = [("red", "green", "", "blue")[i % 4] for i in range(count)]
    size = [("s", "l")[i % 2] for i in range(count)]
    return Table(numbers(count), [colour, size], ["a", "b", "c", "d", "e", "colour", "size"])


def test_words_become_the_columns_of_scikit_learn_and_unknown_ones_zeros() -> None:
    raw = table()
    columns = fitted(raw)
    other = Table(numbers(3), [["red", "", "mauve"], ["l", "xl", "s"]], raw.names)
    theirs = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(np.array(raw.words).T)
    expected = torch.from_numpy(theirs.transform(np.array(other.words).T)).float()
    ours = columns.encode(other)
    assert ours.shape == (3, 5 + 4 + 2)
    assert torch.equal(ours[:, 5:], expected)
    assert columns.promises() == {"kind": "tabular", "cardinalities": ()}


def test_codes_stand_last_and_are_0_for_missing_and_unknown_words() -> None:
    columns = fitted(table(), categories="embed")
    other = Table(numbers(4), [["red", "", "mauve", "blue"], ["l", "xl", "s", "s"]], table().names)
    out = columns.encode(other)
    assert out[:, 5:].tolist() == [[3, 1], [0, 0], [0, 2], [1, 2]]
    assert columns.promises() == {"kind": "tabular", "cardinalities": (4, 3)}


def test_a_table_of_words_alone_is_encoded() -> None:
    raw = Table(torch.zeros(4, 0, dtype=torch.float64), [["a", "b", "a", "c"]])
    assert fitted(raw).encode(raw).argmax(1).tolist() == [0, 1, 0, 2]
    assert fitted(raw, categories="embed").encode(raw).tolist() == [[1], [2], [1], [3]]


@pytest.mark.parametrize("normalize", ALL)
@pytest.mark.parametrize("categories", get_args(Categories))
def test_the_state_is_plain_data_and_encodes_alike_after_loading(
    normalize: str, categories: str, tmp_path: Path
) -> None:
    raw = table()
    raw.numbers[::3, 0] = NAN
    columns = fitted(raw, normalize=normalize, categories=categories)
    torch.save(columns.state_dict(), tmp_path / "columns.pt")
    fresh = Columns(normalize=normalize, categories=categories)  # type: ignore[arg-type]
    fresh.load_state_dict(torch.load(tmp_path / "columns.pt", weights_only=True))
    assert torch.equal(fresh.encode(raw), columns.encode(raw))
    assert (fresh.number_names, fresh.word_names) == (["a", "b", "c", "d", "e"], ["colour", "size"])
    assert fresh.promises() == columns.promises()


def test_many_rows_are_encoded_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = numbers()
    columns = fitted(raw, normalize="ple")
    whole = columns.encode(raw)
    monkeypatch.setattr("dlkit.data.tables.columns.CHUNK", 7)
    assert torch.equal(columns.encode(raw), whole)
    torch.testing.assert_close(columns.encode(raw[3:4]), whole[3:4])


def test_encoding_leaves_raw_numbers_alone() -> None:
    raw = numbers()
    raw[0, 0] = NAN
    before = raw.clone()
    fitted(raw).encode(raw)
    torch.testing.assert_close(raw, before, equal_nan=True)


def test_other_columns_than_those_of_training_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of 4 numbers and 0 words, expected 5 and 2"):
        fitted(table()).encode(numbers()[:, :4])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "c", "d", "e", "hue", "size"], "columns: missing colour, not known hue; expected as trained"),
        (["b", "a", "c", "d", "e", "colour", "size"], "in another order; .* numbers a, b, c, d, e, words colour, size"),
    ],
)
def test_a_table_with_other_names_is_refused_by_name(names: list[str], message: str) -> None:
    other = table()
    other.names = names
    with pytest.raises(ValueError, match=message):
        fitted(table()).encode(other)
    fewer = Table(numbers(3)[:, :4], [["red"] * 3, ["s"] * 3], ["a", "b", "c", "d", "colour", "size"])
    with pytest.raises(ValueError, match="columns: missing e; expected as trained"):
        fitted(table()).encode(fewer)


def test_without_names_columns_go_by_place() -> None:
    raw = table()
    named, nameless = fitted(raw), fitted(raw.numbers)
    assert (nameless.number_names, nameless.word_names) == ([], [])
    old = {name: part for name, part in named.state_dict().items() if not name.endswith("_names")}
    named.load_state_dict(old)  # as it was written before columns had names
    renamed = Table(raw.numbers, raw.words, list("tuvwxyz"))
    assert torch.equal(named.encode(renamed), fitted(raw).encode(raw))
    assert torch.equal(fitted(Table(raw.numbers)).encode(raw.numbers), nameless.encode(raw.numbers))
