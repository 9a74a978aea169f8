"""Examples in TensorBoard: which ones, and that they are shown as they are."""

from __future__ import annotations

import wave
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import small_sets
import torch
from boards import Notes, evaluated, table
from torch import nn

import dlkit
from dlkit.answers import in_own_unit
from dlkit.callbacks.panels.panel import Board, answers
from dlkit.callbacks.panels.samples import Samples
from dlkit.callbacks.panels.samples.said import Said, worst
from dlkit.plots.tiles import GAP, TILE

SMALL = ("trainer.max_steps=2", "trainer.limit_batches=1")
OURS = (
    "callbacks=minimal",
    "+callbacks.tensorboard={_target_: dlkit.callbacks.tensorboard.TensorBoard, graph: false}",
    "+callbacks.samples._target_=dlkit.callbacks.panels.samples.Samples",
    "+callbacks.filters._target_=dlkit.callbacks.panels.filters.Filters",
    "+callbacks.feature_maps._target_=dlkit.callbacks.panels.filters.FeatureMaps",
)
KINDS = {
    "images": ("data=digits", "model=cnn"),
    "table": ("data=iris", "model=mlp"),
    "numbers": ("data=diabetes", "model=mlp"),
    "texts": ("data=cldr_names", "model=lstm_text", "model.units=8", "model.embedding_size=8"),
    "words": (
        "data=text_csv",
        "data.path=own/texts.csv",
        "data.text=text",
        "data.label=kind",
        "data.batch_size=2",
        "model=fasttext",
    ),
    "pieces": ("data=text_folder", "data.root=own/texts", "data.tokenizer=bpe", "model=cnn_text"),
    "sounds": ("data=vowels", "data.examples=60", "data.batch_size=4", "model=cnn_rnn_speech", "model.units=8"),
    "points": ("data=synthetic", "model=mlp"),
    "files": (
        *("data=image_folder", "data.root=own/pictures", "data.size=8", "data.memory_limit=1e-6"),
        *("data.workers=0", "data.cache=own/cache", "model=cnn", "data.batch_size=16"),
    ),
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drawn(*overrides: str, count: int = 16) -> tuple[Notes, dlkit.build.Experiment]:
    experiment, notes = evaluated(*overrides), Notes()
    Samples(count=count).draw(experiment.state, notes)
    return notes, experiment


@pytest.mark.filterwarnings("ignore:data.batch_size")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "words"])
def test_every_kind_of_data_is_shown_and_training_is_bit_for_bit_what_it_is_without(kind: str) -> None:
    small_sets.own(Path())
    panels = ("callbacks=everything",) if kind in ("sounds", "files") else OURS
    with_all, without = (
        dlkit.train([*KINDS[kind], *SMALL, *callbacks, f"run_dir={folder}"])
        for folder, callbacks in (("panels", panels), ("minimal", ("callbacks=minimal",)))
    )
    for name, weights in with_all.model.state_dict().items():
        assert torch.equal(weights, without.model.state_dict()[name]), name
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tags = EventAccumulator("panels").Reload().Tags()
    shown = {*tags["images"], *tags["audio"], *tags["tensors"]}
    assert "val/samples" in shown or "val/samples/text_summary" in shown
    assert ("val/samples/1" in shown) == (kind == "sounds")
    assert ("within/feature_maps/0" in shown) == (kind in ("images", "sounds", "files"))


@pytest.mark.parametrize("options", [("data=synthetic", "data.name=moons", "model=logreg"), ("data=diabetes",)])
def test_the_worst_are_those_with_the_largest_loss(options: tuple[str, ...]) -> None:
    state = evaluated(*options).state
    out, y = answers(state)  # type: ignore[misc]
    by_hand = state.measure.loss(out, y).argsort(descending=True)[:6]  # type: ignore[union-attr]
    assert worst(state, out, y, 6).tolist() == by_hand.tolist()


def test_of_many_classes_the_worst_are_the_surest_of_the_wrong_ones() -> None:
    state = evaluated("data=digits", "model=mlp").state
    out, y = answers(state)  # type: ignore[misc]
    p, guess = out.double().softmax(1).max(1)
    by_hand = torch.where(guess != y, p, -1.0).argsort(descending=True)[:9]
    assert worst(state, out, y, 9).tolist() == by_hand.tolist()


def test_pixels_are_those_of_the_raw_image_and_wrong_answers_alone_have_a_frame() -> None:
    notes, experiment = drawn("data=digits", "model=mlp", count=4)
    out, y = answers(experiment.state)  # type: ignore[misc]
    raw = experiment.data.raw("val", worst(experiment.state, out, y, 4))
    page = notes.found["val/worst"]
    for number in range(4):
        left = GAP + number * (TILE + 2 * GAP)
        shown = page[GAP : GAP + TILE : TILE // 8, left : left + TILE : TILE // 8]
        assert np.array_equal(shown, (raw[number].float() * 255 / 16).round().byte().expand(3, 8, 8).permute(1, 2, 0))
        assert len(set(page[GAP - 2, left : left + TILE].sum(1).tolist())) == 1 and page[GAP - 2, left].min() < 100
    right = evaluated("data=digits", "model=mlp")
    right.state.outputs = [(10 * nn.functional.one_hot(y, 10).float(), y)]
    Samples(count=4).draw(right.state, notes := Notes())
    assert set(notes.found) == {"val/samples"}  # nothing is wrong
    assert notes.found["val/samples"][GAP - 2, GAP : GAP + TILE].min() == 255


def test_a_table_shows_answers_and_cells_in_their_own_unit() -> None:
    notes, experiment = drawn("data=diabetes", count=5)
    out, y = answers(experiment.state)  # type: ignore[misc]
    chosen = worst(experiment.state, out, y, 5)
    numbers = experiment.data.raw("val", chosen)
    for row, number, cells in zip(chosen, numbers, table(notes.found["val/worst"]), strict=True):
        truth, guess = (in_own_unit(experiment.data.spec, one[row]).item() for one in (y, out))
        assert cells == [f"{truth:.4g} → {guess:.4g}", *(f"{value:.4g}" for value in number.tolist())]


def test_of_a_wide_table_with_words_the_first_columns_are_shown_and_the_others_counted() -> None:
    lines = ["kind,*b*,colour," + ",".join(f"c{i}" for i in range(12))]
    lines += [f"{('y|', 'n')[i % 2]},{i / 4},{('red', 'a|b')[i % 3 % 2]}" + ",0.5" * 12 for i in range(40)]
    Path("wide.csv").write_text("\n".join(lines) + "\n")
    notes, _ = drawn(
        "data=table_csv", "data.path=wide.csv", "data.target=kind", "data.batch_size=2", "model=mlp", count=3
    )
    text = notes.found["val/samples"]
    assert "2 more" in text.splitlines()[0] and "&#42;b&#42;" in text.splitlines()[0]
    assert {len(cells) for cells in table(text)} == {1 + 12 + 1}


@pytest.mark.parametrize("level", ["none", "rms"])
def test_a_sound_is_played_as_it_was_recorded_though_the_model_is_given_spectra(level: str, place: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    experiment = evaluated(*KINDS["sounds"], f"data.level={level}")
    writer = SummaryWriter(str(place / "board"))
    Samples(count=3).draw(experiment.state, Board(writer))
    writer.close()
    assert experiment.data.examples("val", torch.tensor([0])).x.dim() == 3  # frames
    events = EventAccumulator(str(place / "board")).Reload()
    order = experiment.data.order("val")
    for number, row in enumerate(order[[0, len(order) // 2, -1]], start=1):
        expected = experiment.data.raw("val", row[None]).values
        (heard,) = events.Audio(f"val/samples/{number}")
        with wave.open(BytesIO(heard.encoded_audio_string)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            assert file.getframerate() == 8000
        assert np.array_equal(samples, (expected / expected.abs().max().clamp(min=1) * 32767).numpy().astype("<i2"))


def test_a_text_is_shown_word_by_word_as_the_model_reads_it() -> None:
    small_sets.own(Path())
    notes, experiment = drawn(*KINDS["words"], count=4)
    order = experiment.data.order("val")
    rows = order[torch.linspace(0, len(order) - 1, 4).round().long()]
    for row, cells in zip(rows, table(notes.found["val/samples"]), strict=True):
        said = experiment.data.raw("val", row[None]).texts[0]
        bare = cells[-1]
        for tag in ("strong", "em"):
            bare = bare.replace(f"<{tag}>", "").replace(f"</{tag}>", "")
        assert "".join(bare.split()) == "".join(said.lower().split())


def test_of_runs_trained_as_one_model_the_same_examples_are_shown_and_no_worst() -> None:
    experiment = evaluated("data=iris", "model=mlp")
    Samples().draw(experiment.state, usual := Notes())
    experiment.state.outputs = []
    Samples().draw(experiment.state, stacked := Notes())
    assert set(stacked.found) == {"val/samples"}
    assert stacked.found["val/samples"] == usual.found["val/samples"]
    assert experiment.state.model.training


def test_what_is_too_large_to_be_kept_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from dlkit.data import prepare

    monkeypatch.setattr(prepare, "KEPT", 1000)
    notes, _ = drawn("data=digits", "model=mlp")
    assert notes.found == {}


def test_captions_name_both_classes_where_they_differ_and_break_where_they_are_long() -> None:
    assert Said("8", "8", False, "0.98").caption() == ["8 0.98"]
    assert Said("8", "3", True, "0.98").caption("2: ") == ["2: 8 → 3 0.98"]
    assert Said("airplane", "automobile", True, "0.98").caption() == ["airplane →", "automobile 0.98"]
