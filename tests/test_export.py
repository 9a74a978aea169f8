"""Exported models: what goes into a file, that it says what the model says, and that no other file is left."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import trained_runs
from torch import Tensor, nn

import dlkit
from dlkit.cli.export import main
from dlkit.data.audio.waves import Waves
from dlkit.data.raw import Ragged, Table, Texts
from dlkit.data.scale import Scale
from dlkit.data.tables.columns import Columns
from dlkit.data.text.tokens import Tokens
from dlkit.evaluation.data import Seen, read
from dlkit.export import folder as folders
from dlkit.export import weights
from dlkit.export.check import TOLERANCE, Differs, answers
from dlkit.export.folder import export
from dlkit.export.formats import write_onnx
from dlkit.export.inputs import Input, front, tensors
from dlkit.export.module import Answer, CeilPool
from dlkit.export.snippets import snippet
from dlkit.losses import CrossEntropy, Mse, hinge
from dlkit.trained import Trained, load
from dlkit.types import Spec

QUICK = ["callbacks=minimal", "trainer.epochs=1", "trainer.device=cpu", "data.batch_size=full"]
PEOPLE = [
    "age,fare,sex,port,stays",
    *(f"{20 + i * 7 % 50},{i % 9}.5,{'mf'[i % 2]},{'SQ'[i % 5 // 3]},{('no', 'yes')[i * i % 3]}" for i in range(60)),
]


def train(root: Path, *options: str) -> Path:
    return dlkit.train([*QUICK, *options, f"run_dir={root}"]).folder


def loaded(run: Path) -> tuple[Trained, Seen]:
    trained = load(run, device="cpu")
    return trained, read(trained)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on numbers, some missing, with a number to predict."""
    return trained_runs.table(tmp_path_factory.mktemp("table")).folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_runs.texts(tmp_path_factory.mktemp("texts")).folder


@pytest.mark.parametrize("normalize", ["none", "standardize", "minmax", "quantile", "ple"])
@pytest.mark.parametrize("categories", ["onehot", "embed"])
def test_rows_inside_are_those_of_the_encoder(normalize: str, categories: str) -> None:
    numbers = torch.randn(40, 3, dtype=torch.float64) * 7 + 1000
    numbers[::5, 1], numbers[:, 2] = torch.nan, 3
    words = [["a", "b", "", "c"] * 10, ["x", "y"] * 20]
    encoder = Columns(normalize=normalize, categories=categories)  # type: ignore[arg-type]
    encoder.fit(Table(numbers[:30], [column[:30] for column in words]))
    raw = Table(numbers, [words[0], ["x", "stranger"] * 20])
    assert torch.equal(front(encoder)(*tensors(encoder, raw)), encoder.encode(raw))


def test_codes_beyond_the_words_of_training_are_unknown_words() -> None:
    encoder = Columns(categories="embed")
    encoder.fit(Table(torch.zeros(2, 0), [["a", "b"]]))
    assert front(encoder)(torch.tensor([[0], [1], [-1], [2], [99]])).flatten().tolist() == [1, 2, 0, 0, 0]


@pytest.mark.parametrize("level", ["none", "peak", "rms"])
@pytest.mark.parametrize("ragged", [True, False])
def test_levels_inside_are_those_of_the_encoder(level: str, ragged: bool) -> None:
    waves = [torch.randn(300) * 3, torch.zeros(300), torch.randn(300 if not ragged else 120)]
    raw = Ragged.of(waves) if ragged else torch.stack(waves)
    encoder = Waves(level=level)  # type: ignore[arg-type]
    encoder.fit(raw)
    wanted = encoder.encode(raw)
    wanted = wanted.padded(torch.arange(3)) if isinstance(wanted, Ragged) else wanted
    torch.testing.assert_close(front(encoder)(*tensors(encoder, raw)), wanted, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_pixels_inside_are_those_of_the_encoder(dtype: torch.dtype) -> None:
    raw = torch.randint(0, 256, (5, 3, 4, 4)).to(dtype)
    encoder = Scale()
    encoder.fit(raw)
    assert torch.equal(front(encoder)(raw), encoder.encode(raw))


def test_an_encoder_of_ones_own_does_not_go_into_a_file() -> None:
    class Mine(Scale):
        pass

    with pytest.raises(ValueError, match=r"data.encoder=Mine: .*--format safetensors"):
        front(Mine())


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("length", [1, 2, 5, 12, 13])
def test_the_pool_that_says_nothing_of_lengths_is_torchs_with_ceil_mode(size: int, length: int) -> None:
    x = torch.randn(2, 3, length, 7)
    assert torch.equal(CeilPool(size, 2)(x), nn.MaxPool2d(size, ceil_mode=True)(x))
    assert torch.equal(CeilPool(size, 1)(x[..., 0]), nn.MaxPool1d(size, ceil_mode=True)(x[..., 0]))


def test_the_answer_is_probabilities_scores_or_values_in_the_targets_unit(tabular: Spec) -> None:
    out = torch.randn(4, 3)
    answer = Answer(tabular, CrossEntropy(tabular))
    assert answer.name == "probabilities"
    assert torch.equal(answer(out), out.softmax(1))
    two = Spec("tabular", (4,), 2, "classification", classes=("a", "b"))
    answer = Answer(two, hinge(two))
    assert answer.name == "scores"
    assert torch.equal(answer(out[:, :1]), torch.cat([-out[:, :1], out[:, :1]], 1))
    numbers = Spec("tabular", (4,), 3, "regression", target_mean=(1e6, 0, 1), target_std=(2.0, 1.0, 5.0))
    answer = Answer(numbers, Mse(numbers))
    wanted = out.double() * torch.tensor([2.0, 1.0, 5.0]) + torch.tensor([1e6, 0.0, 1.0])
    assert answer.name == "values"
    assert torch.equal(answer(out), wanted)


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_the_tokens_of_the_readme_are_those_of_the_encoder(
    tokenizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ['It\'s a "test", isn’t it?', "Ünïcode: e\u0301tude", "", "no " * 20]
    encoder = Tokens(tokenizer=tokenizer, max_length=12, max_size=300)  # type: ignore[arg-type]
    encoder.fit(Texts(said[:2]))
    Path("vocabulary.json").write_text(json.dumps(encoder.vocabulary))
    Path("tokenizer.json").write_text(encoder.state_dict()["bpe"])
    spec = Spec("tokens", (12,), 2, "classification", classes=("a", "b"))
    code = snippet("onnx", spec, encoder, [Input("tokens", torch.int64, ("batch", "length"), "")], "probabilities")
    code = re.sub("import onnxruntime\n|session = .*\n", "", code).partition("texts = ")[0]
    made: dict[str, Callable[[str], list[int]]] = {}
    exec(code, made)
    encoded = encoder.encode(Texts(said))
    wanted = [one.tolist() for one in encoded.values.split(encoded.lengths.tolist())]
    assert [made["number"](text) for text in said] == wanted


def test_weights_and_plain_data_give_the_model_again(texts: Path, tmp_path: Path) -> None:
    trained, seen = loaded(texts)
    checked = export(trained, seen, "safetensors", tmp_path / "out")
    again = weights.load(tmp_path / "out", device="cpu")
    assert checked.difference == 0
    assert again.spec == trained.spec
    assert again.predict("a lovely film") == trained.predict("a lovely film")
    raw = seen.raw("test", torch.arange(5))
    assert torch.equal(answers(again, raw), answers(trained, raw))


def test_a_strangers_weights_cannot_name_any_code(texts: Path, tmp_path: Path) -> None:
    trained, seen = loaded(texts)
    export(trained, seen, "safetensors", tmp_path / "out")
    config = tmp_path / "out" / "config.yaml"
    config.write_text(config.read_text().replace("dlkit.models.cnn_text.cnn_text", "os.system"))
    with pytest.raises(ValueError, match=r"os\.system"):
        weights.load(tmp_path / "out")


def test_a_program_of_torch_takes_texts_of_any_number_and_length(texts: Path, tmp_path: Path) -> None:
    trained, seen = loaded(texts)
    checked = export(trained, seen, "torch_export", tmp_path / "out")
    assert (checked.split, checked.examples, checked.sizes) == ("test", 15, (15, 1))
    assert checked.difference <= TOLERANCE
    program = torch.export.load(tmp_path / "out" / "model.pt2").module()
    for shape in ((1, 1), (3, 40)):
        x = torch.randint(1, trained.spec.vocab_size or 0, shape)
        torch.testing.assert_close(program(x), trained.model(x).softmax(1))
    assert json.loads((tmp_path / "out" / "classes.json").read_text()) == ["bad", "good"]


def test_the_command_writes_numbers_as_onnx_and_a_readme_whose_code_runs(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main([str(table), "--format", "onnx"])
    told = capfd.readouterr()
    assert [line.split()[0] for line in told.out.splitlines()] == ["file", "checked", "readme"]
    assert told.err == ""
    place = table / "export" / "onnx"
    assert {path.name for path in place.iterdir()} == {"model.onnx", "README.md", "categories.json"}
    text = (place / "README.md").read_text()
    assert "float64 (batch, 1): in the targets' own unit" in text
    assert "rooms" in text
    assert not list(table.glob("export/.*"))
    value = float(run_snippet(place).strip("[]\n"))
    trained = load(table, device="cpu")
    wanted = trained.predict({"rooms": 0, "area": 0, "colour": "a stranger"})
    assert value == pytest.approx(wanted.value, rel=1e-6)  # type: ignore[union-attr]


def run_snippet(place: Path) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (place / "README.md").read_text(encoding="utf-8"), re.S)
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def broken(*args: object) -> Callable[..., Tensor]:
    """A writer of a file that answers something else."""
    path = args[-1]
    assert isinstance(path, Path)
    path.touch()
    return lambda *inputs: torch.full((len(inputs[0]), 2), 0.5)


def test_a_file_that_says_something_else_is_removed_and_an_older_one_stays(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("older")
    monkeypatch.setitem(folders.WRITERS, "torch_export", broken)
    with pytest.raises(SystemExit) as end:
        main([str(texts), "--format", "torch_export", "--out", str(out)])
    assert end.value.code == 1
    assert re.fullmatch(r"dlkit export: the exported model differs .* so it was removed\n", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["README.md"]


def test_outputs_that_are_no_numbers_are_a_difference(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(folders.WRITERS, "onnx", lambda *args: lambda x: torch.full((len(x), 2), torch.nan))
    with pytest.raises(Differs, match="by nan"):
        export(*loaded(texts), "onnx", tmp_path / "out")


def test_a_folder_with_other_files_is_not_replaced(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SystemExit, match="2"):
        main([str(texts), "--format", "safetensors", "--out", str(tmp_path)])
    assert "holds other files than an export" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").exists()


def test_without_data_the_command_says_how_to_name_some(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained_runs.texts(tmp_path).folder
    (tmp_path / "files").rename(tmp_path / "moved")
    with pytest.raises(SystemExit, match="2"):
        main([str(run), "--format", "safetensors"])
    assert re.search(r"data.path=\S+: .*\n.*real examples.*data.path=FILE", capsys.readouterr().err)
    main([str(run), "--format", "safetensors", f"data.path={tmp_path}/moved/test.csv"])
    assert "15 examples of train" in capsys.readouterr().out


def test_what_onnx_cannot_hold_is_refused_and_another_format_named(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "data=iris", "data.normalize=quantile")
    with pytest.raises(ValueError, match=r"data.normalize=quantile; --format torch_export has"):
        export(*loaded(run), "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Elman(nn.Module):
    """Every step and the last state of `nn.RNN`, as one tensor."""

    def __init__(self, **options: bool | int):
        super().__init__()
        self.rnn = nn.RNN(3, 5, **options)  # type: ignore[arg-type]

    def forward(self, *raw: Tensor) -> Tensor:
        steps, last = self.rnn(*raw)
        return torch.cat([steps.flatten(), last.flatten()])


@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2, "bidirectional": True, "batch_first": True},
        {"num_layers": 3, "bias": False, "batch_first": True},
        {"bidirectional": True, "bias": False, "batch_first": False},
    ],
    ids=str,
)
def test_elmans_network_of_any_form_goes_into_onnx(options: dict[str, bool | int], tmp_path: Path) -> None:
    model = Elman(**options).eval()
    inputs = [Input("x", torch.float32, ("batch", "length", 3), "")]
    run = write_onnx(model, (torch.randn(2, 4, 3),), inputs, "y", tmp_path / "model.onnx")
    for shape in ((2, 4, 3), (3, 7, 3)):
        x = torch.randn(shape)
        torch.testing.assert_close(run(x), model(x).detach(), rtol=1e-5, atol=1e-6)


SPEECH = ["data=audio_folder", "data.sample_rate=8000"]
TEXT = ["data=text_csv", "data.text=text", "data.label=opinion"]
RUNS: dict[str, list[str]] = {
    "words": ["data=table_csv", "data.target=stays", "data.task=classification"],
    "codes": ["data=table_csv", "data.target=stays", "data.categories=embed", "data.normalize=ple"],
    "scores": ["data=table_csv", "data.target=stays", "model=svm"],
    "cnn": ["data=digits", "model=cnn", "model.channels=[8]", "trainer.max_steps=2", "final.mirror=true"],
    "cnn_rnn": ["data=digits", "model=cnn_rnn", "model.channels=[8]", "model.units=8", "trainer.max_steps=2"],
    "lstm_text": [*TEXT, "model=lstm_text", "model.layers=2", "model.pooling=attention", "trainer.dtype=bfloat16"],
    "gru_text": [*TEXT, "model=gru_text", "model.pooling=last", "data.tokenizer=char"],
    "rnn_text": [*TEXT, "model=rnn_text", "model.pooling=mean", "data.tokenizer=bpe", "data.max_size=300"],
    "cnn_text": [*TEXT, "model=cnn_text"],
    "fasttext": [*TEXT, "model=fasttext", "model.buckets=100"],
    "cnn_speech": [*SPEECH, "model=cnn_speech"],
    "lstm_speech": [*SPEECH, "model=lstm_speech", "model.features.kind=mfcc", "data.level=peak"],
    "cnn_rnn_speech": [*SPEECH, "model=cnn_rnn_speech"],
    "cnn_speech_raw": [*SPEECH, "model=cnn_speech_raw"],
    "fixed": [*SPEECH, "model=cnn_speech", "data.seconds=0.2"],
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the data of a kind is, as an option."""
    root = tmp_path_factory.mktemp("files")
    (root / "people.csv").write_text("\n".join(PEOPLE) + "\n")
    trained_runs.texts(root / "texts")
    trained_runs.recordings(root / "sounds")
    return {
        "table_csv": f"data.path={root}/people.csv",
        "text_csv": f"data.path={root}/texts/files/train.csv",
        "audio_folder": f"data.root={root}/sounds/files",
        "digits": "data.val_fraction=0.1",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_every_model_says_the_same_in_every_format_and_its_readme_runs(
    name: str, files: dict[str, str], tmp_path: Path
) -> None:
    options = RUNS[name]
    run = train(tmp_path / "run", *options, files[options[0].removeprefix("data=")])
    trained, seen = loaded(run)
    for kind in ("onnx", "torch_export", "safetensors"):
        checked = export(trained, seen, kind, tmp_path / kind)
        assert checked.difference <= TOLERANCE
        assert run_snippet(tmp_path / kind)
