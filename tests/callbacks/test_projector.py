"""The embedding projector: its files are what the model sees, and TensorBoard finds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from boards import Notes, evaluated
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.projector.projector_config_pb2 import EmbeddingInfo, ProjectorConfig
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from torch import Tensor, nn
from werkzeug.test import Client

from dlkit.callbacks.panels import projector
from dlkit.callbacks.panels.projector import Projector
from dlkit.state import State

KINDS = {
    "images": ("data=digits", "model=cnn"),
    "tables": ("data=iris", "model=mlp"),
    "numbers": ("data=diabetes", "model=mlp"),
    "texts": ("data=cldr_names", "model=lstm_text"),
    "recordings": ("data=vowels", "model=lstm_speech"),
    "points": ("data=synthetic", "data.kind=moons", "model=mlp", "loss=hinge"),
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def project(*options: str, **limits: int) -> tuple[State, EmbeddingInfo]:
    """A run that is not trained, and what the config in its folder says."""
    state = evaluated(*options, "run_dir=r").state
    state.folder.mkdir(exist_ok=True)
    Projector(**limits).draw(state, Notes())
    config = text_format.Parse(Path("r/projector_config.pbtxt").read_text(), ProjectorConfig())
    (found,) = config.embeddings
    return state, found


def rows(path: str) -> list[list[str]]:
    return [line.split("\t") for line in Path("r", path).read_text(encoding="utf-8").splitlines()]


def into_last(state: State, layer: nn.Module, x: Tensor) -> Tensor:
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda module, inputs, out: seen.append(inputs[0]))
    with torch.no_grad():
        state.eval_model.eval()(x)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("kind", KINDS)
def test_points_are_what_comes_into_the_last_layer_with_true_and_predicted(kind: str) -> None:
    state, found = project(*KINDS[kind], examples=40)
    assert state.data is not None
    size = state.data.split_sizes["val"]
    chosen = torch.linspace(0, size - 1, min(size, 40)).round().long()
    x, y = state.data.examples("val", chosen)
    last = [module for module in state.eval_model.modules() if isinstance(module, nn.Linear)][-1]
    points = np.array(rows(found.tensor_path), dtype=float)
    np.testing.assert_allclose(points, into_last(state, last, x).numpy(), rtol=1e-3, atol=1e-4)
    head, *labels = rows(found.metadata_path)
    if kind == "numbers":
        assert head == ["true", "predicted", "error"]
        assert [float(row[0]) for row in labels] == pytest.approx(state_unit(state, y), rel=1e-3)
        return
    assert head == ["class", "predicted", "right"]
    assert [row[0] for row in labels] == [state.spec.classes[label] for label in y.tolist()]
    assert {row[2] == ("yes" if row[0] == row[1] else "no") for row in labels} == {True}
    assert bool(found.sprite.image_path) is (kind == "images")


def state_unit(state: State, y: Tensor) -> list[float]:
    return [number * state.spec.target_std[0] + state.spec.target_mean[0] for number in y[:, 0].tolist()]


def test_pictures_are_the_images_in_the_order_of_the_points() -> None:
    state, found = project("data=digits", "model=mlp", examples=30)
    assert state.data is not None and list(found.sprite.single_image_dim) == [8, 8]
    raw = state.data.raw("val", torch.linspace(0, state.data.split_sizes["val"] - 1, 30).round().long())
    with Image.open(Path("r", found.sprite.image_path)) as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (48, 48, 3)  # 6 × 6 places
    low, high = state.data.encoder.range  # type: ignore[attr-defined]
    for i in (0, 7, 29):
        down, across = divmod(i, 6)
        place = pixels[8 * down : 8 * down + 8, 8 * across : 8 * across + 8, 0]
        assert np.abs(place - (raw[i, 0].float().numpy() - low) / (high - low) * 255).max() <= 1


def test_large_images_become_small_ones_and_of_a_wide_layer_there_are_fewer_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projector, "SIDE", 4)
    monkeypatch.setattr(projector, "NUMBERS", 1280)
    _, found = project("data=digits", "model=mlp")
    assert list(found.sprite.single_image_dim) == [4, 4]
    assert np.array(rows(found.tensor_path)).shape == (10, 128)
    assert len(rows(found.metadata_path)) == 1 + 10


def test_the_model_is_left_as_it_was() -> None:
    state, _ = project("data=digits", "model=cnn", "model.dropout=0.5")
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    random = torch.get_rng_state()
    Projector().draw(state, Notes())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in state.model.state_dict().items())
    assert all(module.training and not module._forward_pre_hooks for module in state.model.modules())


def test_a_model_without_layers_of_weights_has_no_projection() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(4, 3))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.w

    state = evaluated("data=iris", "model=mlp", "run_dir=r").state
    state.model = Bare()
    Projector().draw(state, Notes())
    assert not Path("r", "projector_config.pbtxt").exists()


@pytest.mark.parametrize("logdir", [".", "r"])
def test_tensorboard_serves_it_for_the_run_and_for_the_folder_above(logdir: str) -> None:
    state, found = project("data=digits", "model=mlp", examples=20)
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(state.folder)) as writer:
        writer.add_scalar("x", 1.0, 0)
    served = client(logdir)
    (run,) = served("runs")
    (embedding,) = served(f"info?run={run}")["embeddings"]
    assert embedding["tensorShape"] == [20, 128]
    name = quote(found.tensor_name)
    assert served(f"metadata?run={run}&name={name}").splitlines()[0] == "class\tpredicted\tright"
    assert np.frombuffer(served(f"tensor?run={run}&name={name}", raw=True), "float32").shape == (20 * 128,)
    assert served(f"sprite_image?run={run}&name={name}", raw=True).startswith(b"\x89PNG")


def client(logdir: str) -> Any:
    """Asks the projector of TensorBoard on the folder."""
    runs = EventMultiplexer().AddRunsFromDirectory(logdir)
    runs.Reload()
    context = TBContext(data_provider=MultiplexerDataProvider(runs, logdir), logdir=logdir)
    routes = ProjectorPlugin(context).get_plugin_apps()

    def ask(query: str, raw: bool = False) -> Any:
        route, _, options = query.partition("?")
        answer = Client(routes[f"/{route}"]).get(f"/?{options}")
        assert answer.status_code == 200, answer.data
        if raw:
            return answer.data
        return json.loads(answer.text) if "json" in answer.content_type else answer.text

    return ask
