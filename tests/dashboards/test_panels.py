"""Every panel of `callbacks=everything`, read back from TensorBoard by the requests of its own web page."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import numpy as np
import pytest
import soundfile
import torch
import trained_runs
import yaml
from drawn import always, digits
from PIL import Image
from served import Page, served

from dlkit.run import Run

CONVOLUTIONS, LINEAR = {"0.Conv2d", "3.Conv2d"}, {"7.Linear", "9.Linear"}
GRADIENTS = ("within/gradient_norm", "within/update_ratio")
ACTIVITY = ("within/activation_mean", "within/activation_std", "within/dead")
ACTIVE = {"1.ReLU", "4.ReLU", "8.ReLU"}
PARAMETERS = {f"{layer}.{kind}" for layer in (0, 3, 7, 9) for kind in ("weight", "bias")}
VIEWS = {  # what each entry of configs/callbacks/everything.yaml shows of a run: plugin and tags
    "layers": ("scalars", {f"{name}/{at}" for name in GRADIENTS for at in CONVOLUTIONS | LINEAR}),
    "activations": (
        "scalars",
        {f"{name}/{at}" for name in ACTIVITY for at in ACTIVE},
    ),
    "histograms": (
        "histograms",
        {f"{name}/{at}" for name in ("within/weights", "within/gradients") for at in PARAMETERS},
    ),
    "confusion": ("images", {"val/confusion"}),
    "reliability": ("images", {"val/reliability"}),
    "samples": ("images", {"val/samples", "val/worst"}),
    "filters": ("images", {"within/filters"}),
    "feature_maps": ("images", {"within/feature_maps/0"}),
    "pr_curves": ("pr_curves", {f"pr_curve/{digit}" for digit in range(10)}),
    "layout": ("custom_scalars", set()),
    "projector": ("projector", set()),
    "predicted": ("images", set()),  # of regression only
}
SILENT = {"grad_clip", "early_stop", "stop", "plateau", "output_std", "progress", "record", "tensorboard", "checkpoint"}
SILENT |= {"advice"}  # speaks in the log
pytestmark = pytest.mark.slow


class Shown(NamedTuple):
    page: Page
    runs: dict[str, Run]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Runs of all kinds of data in one folder."""
    root = tmp_path_factory.mktemp("runs")
    with always():
        runs = {
            "image": digits(root / "image" / "run"),
            "text": trained_runs.texts(root / "text", "everything"),
            "sound": trained_runs.recordings(root / "sound", "everything"),
            "table": trained_runs.table(root / "table", "everything"),
        }
    with served(root, runs=len(runs)) as page:
        yield Shown(page, {f"{kind}/run": run for kind, run in runs.items()})


@pytest.fixture
def page(shown: Shown) -> Page:
    return shown.page


@pytest.fixture
def run(shown: Shown) -> Run:
    """The one on images."""
    return shown.runs["image/run"]


def test_every_callback_shows_what_is_said_of_it_here_and_none_is_left_out(page: Page, run: Run) -> None:
    config = yaml.safe_load((run.folder / "config.yaml").read_text())
    assert set(config["callbacks"]) == set(VIEWS) | SILENT
    for name, (plugin, tags) in VIEWS.items():
        assert not tags or tags <= page.tags(plugin, "image/run"), name


def test_every_figure_of_every_run_is_a_curve_with_its_steps(shown: Shown) -> None:
    for name, run in shown.runs.items():
        wanted: dict[str, list[tuple[int, float]]] = {}
        for row in run.metrics:
            for figure in row.keys() - {"step", "epoch", "seconds", "time"}:
                wanted.setdefault(figure, []).append((row["step"], row[figure]))
        assert {"train/loss", "val/loss", "lr"} <= set(wanted)
        for figure, points in wanted.items():
            curve = shown.page.ask("scalars/scalars", run=name, tag=figure)
            assert [(step, value) for _, step, value in curve] == [
                (step, pytest.approx(value, rel=1e-6)) for step, value in points
            ], f"{name}: {figure}"


def test_the_norms_of_the_layers_gradients_make_up_that_of_the_whole_gradient(page: Page) -> None:
    layers = [
        page.ask("scalars/scalars", run="image/run", tag=f"within/gradient_norm/{at}") for at in CONVOLUTIONS | LINEAR
    ]
    whole = {step: value for _, step, value in page.ask("scalars/scalars", run="image/run", tag="train/grad_norm")}
    for points in zip(*layers, strict=True):
        (step,) = {step for _, step, _ in points}
        assert sum(value**2 for *_, value in points) ** 0.5 == pytest.approx(whole[step], rel=1e-4)


def test_the_last_histogram_of_a_weight_is_that_of_the_trained_one(page: Page, run: Run) -> None:
    for name, weight in run.model.named_parameters():
        last = page.ask("histograms/histograms", run="image/run", tag=f"within/weights/{name}")[-1]
        _, step, bins = last
        low, high, counts = (torch.tensor(column) for column in zip(*bins, strict=True))
        assert step == run.result["step"]
        assert counts.sum() == pytest.approx(weight.numel())
        assert (low[0].item(), high[-1].item()) == pytest.approx((weight.min().item(), weight.max().item()), rel=1e-4)


def test_distributions_hold_the_quantiles_of_the_weights(page: Page, run: Run) -> None:
    weight = dict(run.model.named_parameters())["7.weight"].detach()
    *_, (_, step, shares) = page.ask("distributions/distributions", run="image/run", tag="within/weights/7.weight")
    assert step == run.result["step"]
    width = (weight.max() - weight.min()).item() / 64  # of a bin of its histogram
    for share, value in shares:
        assert value == pytest.approx(weight.flatten().quantile(share / 10_000).item(), abs=2 * width)


def test_all_pictures_can_be_looked_at_and_the_last_are_of_the_end(shown: Shown) -> None:
    for name, run in shown.runs.items():
        for tag in shown.page.tags("images", name):
            found = shown.page.ask("images/images", run=name, tag=tag, sample=0)
            assert found[-1]["step"] == run.result["step"], f"{name}: {tag}"
            picture = Image.open(BytesIO(shown.page.read("images/individualImage", **_blob(found[-1]))))
            assert min(picture.size) >= 50
            assert len(np.unique(np.asarray(picture.convert("L")))) > 1, f"{name}: {tag} is one colour"


def test_pr_curves_begin_where_all_are_taken_and_count_the_class(page: Page, run: Run) -> None:
    positives = []
    for digit in range(10):
        tag = f"pr_curve/{digit}"
        last = page.ask("pr_curves/pr_curves", run="image/run", tag=tag)["image/run"][-1]
        assert last["step"] == run.result["step"]
        assert last["recall"][0] == 1
        assert last["true_positives"][0] + last["false_positives"][0] == 144
        positives.append(last["true_positives"][0])
        assert last["precision"][0] == pytest.approx(positives[-1] / 144)
    assert sum(positives) == 144  # each validation example is of one class


def test_train_and_validation_share_a_chart(page: Page) -> None:
    layout = page.ask("custom_scalars/layout")
    charts = {chart["title"]: chart["multiline"]["tag"] for group in layout["category"] for chart in group["chart"]}
    assert {"loss", "accuracy", "norm of the gradient"} <= set(charts)
    for figure in ("loss", "accuracy"):
        curves: set[str] = set()
        for pattern in charts[figure]:
            answer = page.ask("custom_scalars/scalars", run="image/run", tag=pattern)
            assert answer["regex_valid"]
            curves |= set(answer["tag_to_events"])
        assert curves == {f"train/{figure}", f"val/{figure}"}


def test_the_projector_has_the_validation_examples_with_their_classes_and_pictures(page: Page) -> None:
    assert "image/run" in page.ask("projector/runs")
    (points,) = page.ask("projector/info", run="image/run")["embeddings"]
    values = np.frombuffer(page.read("projector/tensor", run="image/run", name=points["tensorName"]), np.float32)
    assert values.reshape(points["tensorShape"]).shape == (144, 128)  # what comes into the last layer
    assert np.isfinite(values).all()
    head, *labels = page.read("projector/metadata", run="image/run", name=points["tensorName"]).decode().splitlines()
    assert head.split("\t")[:2] == ["class", "predicted"]
    right = [true == predicted for true, predicted, *_ in (label.split("\t") for label in labels)]
    accuracy = page.ask("scalars/scalars", run="image/run", tag="val/accuracy")[-1][2]
    assert sum(right) / 144 == pytest.approx(accuracy)
    sprites = Image.open(BytesIO(page.read("projector/sprite_image", run="image/run", name=points["tensorName"])))
    width, height = points["sprite"]["singleImageDim"]
    assert (sprites.width // width) * (sprites.height // height) >= 144


def test_the_graph_has_the_layers_of_the_model(page: Page) -> None:
    assert page.ask("graphs/info")["image/run"]["run_graph"]
    graph = page.read("graphs/graph", run="image/run", conceptual="false").decode()
    assert graph.count("Conv2d[0]") and graph.count("Linear[9]")


def test_the_config_is_a_text(shown: Shown) -> None:
    for name in shown.runs:
        (config,) = shown.page.ask("text/text", run=name, tag="config/text_summary")
        assert "trainer.epochs: " in config["text"]


def test_each_run_is_a_row_of_the_hparams_tab_with_its_options_and_figures(shown: Shown) -> None:
    rows = shown.page.sessions()
    assert set(rows) == set(shown.runs)
    assert {name: row["hparams"]["model"] for name, row in rows.items()} == {
        "image/run": "cnn", "text/run": "cnn_text", "sound/run": "cnn_speech", "table/run": "mlp"
    }  # fmt: skip
    for name, run in shown.runs.items():
        figures = {metric["name"]["tag"]: metric.get("value", 0.0) for metric in rows[name]["metricValues"]}
        for figure in ("val/loss", "test/loss"):
            assert figures[figure] == pytest.approx(run.result["metrics"][figure], rel=1e-6)


def test_texts_are_shown_with_their_words_and_answers(page: Page) -> None:
    shown_texts = page.ask("text/text", run="text/run", tag="val/samples/text_summary")[-1]["text"]
    assert "<table>" in shown_texts and "<strong>" in shown_texts
    assert any(word in shown_texts for word in (*trained_runs.WORDS["good"], *trained_runs.WORDS["bad"]))


def test_rows_of_tables_are_shown_with_their_columns_and_predictions(page: Page) -> None:
    rows = page.ask("text/text", run="table/run", tag="val/samples/text_summary")[-1]["text"]
    assert all(f"<th>{name}</th>" in rows for name in ("true → predicted", "rooms", "colour", "area"))
    assert "val/predicted" in page.tags("images", "table/run")


def test_recordings_can_be_played_and_seen(page: Page) -> None:
    assert "val/samples" in page.tags("images", "sound/run")
    clips = page.tags("audio", "sound/run")
    assert "val/samples/1" in clips
    for tag in clips:
        last = page.ask("audio/audio", run="sound/run", tag=tag, sample=0)[-1]
        samples, rate = soundfile.read(BytesIO(page.read("audio/individualAudio", **_blob(last))))
        assert rate == 8000
        assert 0.1 <= len(samples) / rate <= 0.3
        assert 0.3 < np.abs(samples).max() <= 1  # the tones are as loud as they were written: 0.5, but for resampling


def _blob(found: dict[str, Any]) -> dict[str, str]:
    """The query with which the page asks for a picture or a sound."""
    return dict(parse_qsl(found["query"]))
