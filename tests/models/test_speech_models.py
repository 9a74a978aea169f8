"""Speech models: padding changes nothing, frames made before give what waveforms give, tones are learnt."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkit.build import features_once
from dlkit.data.images.augment import Augment
from dlkit.data.raw import Ragged
from dlkit.data.resident import ResidentData
from dlkit.inits import orthogonal
from dlkit.models.cnn_rnn_speech import cnn_rnn_speech
from dlkit.models.cnn_speech import cnn_speech
from dlkit.models.cnn_speech_raw import cnn_speech_raw
from dlkit.models.convolved import Convolution, MaskedNorm
from dlkit.models.features import Features
from dlkit.models.lstm_speech import lstm_speech
from dlkit.models.sequence import mask
from dlkit.models.spec_augment import SpecAugment
from dlkit.types import Batch, Spec

RATE = 4000
SPEC = Spec("waveform", (1200,), 4, "classification", tuple("abcd"), sample_rate=RATE)
LENGTHS = (1, 30, 399, 400, 640, 1200)


def coarse(sample_rate: int) -> Features:
    return Features(sample_rate, mels=16)


SMALL: dict[str, Any] = {"features": coarse}
MODELS: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: lstm_speech(SPEC, 4, units=12, **SMALL),
    "lstm last": lambda: lstm_speech(SPEC, 4, units=12, layers=2, pooling="last", **SMALL),
    "gru max": lambda: lstm_speech(SPEC, 4, cell="gru", units=12, bidirectional=False, pooling="max", **SMALL),
    "rnn attention": lambda: lstm_speech(SPEC, 4, cell="rnn", units=12, pooling="attention", **SMALL),
    "cnn": lambda: cnn_speech(SPEC, 4, channels=(6, 8, 8), **SMALL),
    "cnn wide": lambda: cnn_speech(SPEC, 4, channels=(6, 8), kernel_size=5, batch_norm=False, pooling="max", **SMALL),
    "cnn_rnn": lambda: cnn_rnn_speech(SPEC, 4, channels=(6, 8), units=12, **SMALL),
    "cnn_rnn last": lambda: cnn_rnn_speech(SPEC, 4, channels=(6,), cell="lstm", units=12, pooling="last", **SMALL),
    "raw": lambda: cnn_speech_raw(SPEC, 4, channels=(12, 16, 16), first_kernel=39),
    "raw plain": lambda: cnn_speech_raw(SPEC, 4, channels=(12, 16), pool=3, first_stride=3, batch_norm=False),
}
BASES = [name for name in MODELS if not name.startswith("raw")]


def padded(waves: list[Tensor], extra: int = 0) -> Tensor:
    longest = max(map(len, waves)) + extra
    return torch.stack([torch.cat([wave, torch.full((longest - len(wave),), torch.nan)]) for wave in waves])


def recordings() -> list[Tensor]:
    return [torch.randn(length) * 0.3 for length in LENGTHS]


def settled(model: nn.Module) -> nn.Module:
    """In evaluation mode, after two batches of training: the running statistics are no longer 0 and 1."""
    with torch.no_grad():
        for _ in range(2):
            model(padded(recordings()))
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_padding_never_changes_a_prediction(name: str) -> None:
    model, waves = settled(MODELS[name]()), recordings()
    together = model(padded(waves, extra=700))
    alone = torch.cat([model(wave[None]) for wave in waves])
    assert together.shape == (6, 4) and together.isfinite().all()
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_padding_changes_neither_gradients_nor_running_statistics(name: str) -> None:
    waves, y, found = recordings(), torch.tensor([0, 1, 2, 3, 0, 1]), []
    for extra in (0, 700):
        torch.manual_seed(2)
        model = MODELS[name]()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        F.cross_entropy(model(padded(waves, extra)), y).backward()
        gradients = {key: p.grad for key, p in model.named_parameters()}
        found.append(gradients | dict(model.named_buffers()))
    for key, value in found[0].items():
        torch.testing.assert_close(
            value, found[1][key], atol=1e-5, rtol=1e-4, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize("name", BASES)
def test_frames_made_before_give_what_the_waveforms_give(name: str) -> None:
    model, x = settled(MODELS[name]()), padded(recordings())
    assert torch.equal(model(x), model(model.features(x)))  # type: ignore[operator]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_twenty_tones(name: str) -> None:
    lengths = torch.randint(400, 1200, (20,)).tolist()
    y = torch.arange(20) % 4
    tones = [
        (2 * math.pi * (300 + 400 * int(label)) * (torch.arange(length) / RATE + torch.rand(()))).sin()
        + 0.1 * torch.randn(length)
        for label, length in zip(y, lengths, strict=True)
    ]
    model, x = MODELS[name](), padded(tones)
    optim = torch.optim.Adam(model.parameters(), lr=0.01)
    if name in BASES:
        x = model.features(x)  # type: ignore[operator]
    for _ in range(30):
        loss = F.cross_entropy(model(x), y)
        optim.zero_grad()
        loss.backward()
        optim.step()
    assert (model.eval()(x).argmax(1) == y).float().mean().item() == 1


@pytest.mark.parametrize("name", ["lstm", "cnn", "cnn_rnn", "raw"])
def test_bfloat16_gives_about_the_same(name: str) -> None:
    model, x = settled(MODELS[name]()), padded(recordings())
    with torch.autocast("cpu", torch.bfloat16):
        out = model(x)
    torch.testing.assert_close(out.float(), model(x), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("name", ["lstm", "cnn", "cnn_rnn", "raw"])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_can_be_traced(name: str) -> None:
    model, x = settled(MODELS[name]()), padded(recordings())
    torch.testing.assert_close(torch.jit.trace(model, x)(x), model(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(5, 3, 7), (5, 3, 7, 4)])
def test_the_masked_norm_without_padding_is_torchs(shape: tuple[int, ...]) -> None:
    ours = MaskedNorm(3)
    theirs = nn.BatchNorm1d(3) if len(shape) == 3 else nn.BatchNorm2d(3)
    nn.init.uniform_(ours.weight, 0.5, 2)
    nn.init.uniform_(ours.bias)
    theirs.load_state_dict(ours.state_dict())
    x = (3 * torch.randn(shape) + 5).requires_grad_()
    weights = torch.randn(shape)
    for _ in range(2):
        found = []
        for norm in (lambda x: ours(x, torch.full((5,), 7)), theirs):
            out = norm(x)
            found.append((out, *torch.autograd.grad((out * weights).sum(), x)))
        torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x, torch.full((5,), 7)), theirs(x))


def test_the_masked_norms_statistics_are_those_of_the_real_places() -> None:
    lengths, norm = torch.tensor([2, 7, 1]), MaskedNorm(3)
    x = torch.randn(3, 3, 7, 4)
    real = x.movedim(1, 3)[mask(lengths, 7)].flatten(0, 1)  # (10 · 4, 3)
    out = norm(x, lengths)
    torch.testing.assert_close(norm.running_mean, 0.1 * real.mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * real.var(0))
    flat = out.movedim(1, 3)[mask(lengths, 7)].flatten(0, 1)
    torch.testing.assert_close(flat, (real - real.mean(0)) / (real.var(0, correction=0) + norm.eps).sqrt())
    assert (out.movedim(1, 3)[~mask(lengths, 7)] == 0).all()


def test_a_batch_of_nothing_but_padding_leaves_the_masked_norm_finite() -> None:
    norm = MaskedNorm(3)
    assert not norm(torch.zeros(2, 3, 4), torch.tensor([0, 0])).any()
    assert norm.running_mean is not None and norm.running_mean.isfinite().all()


@pytest.mark.parametrize(("stride", "pool"), [(1, 2), (4, 4), (3, 1)])
def test_lengths_shrink_as_the_tensor_does_and_never_to_nothing(stride: int, pool: int) -> None:
    block = Convolution(1, 2, 5, axes=1, stride=stride, pool=pool)
    for length in (1, 2, 7, 64, 65):
        out, lengths = block(torch.randn(1, 1, length), torch.tensor([length]))
        assert out.shape[2] == lengths.item() == math.ceil(math.ceil(length / stride) / pool)


def resident(x: Tensor | Ragged, augment: Any = None) -> ResidentData:
    y = torch.arange(len(x)) % 4
    splits = {"train": (x, y), "val": (x, y)}
    return ResidentData(SPEC, splits, None, "", batch_size=4, seed=0, augment=augment)  # type: ignore[arg-type]


def predictions(model: nn.Module, data: ResidentData) -> dict[tuple[float, ...], int]:
    """Outputs on the validation split, rounded, and how often each came: their order does not matter."""
    rows = torch.cat([model(batch.x) for batch in data.eval("val")])
    return sorted(tuple(round(v, 3) for v in row) for row in rows.tolist())  # type: ignore[return-value]


@pytest.mark.parametrize("ragged", [True, False])
def test_features_computed_once_give_the_predictions_of_those_computed_each_time(ragged: bool) -> None:
    waves = [torch.randn(length) for length in (900, 30, 640, 640, 1200, 81)]
    x: Tensor | Ragged = Ragged.of(waves) if ragged else torch.randn(6, 800)
    model, data = settled(MODELS["cnn_rnn"]()), resident(x)
    before, sizes = predictions(model, data), data.split_sizes
    assert features_once(model, data)
    assert predictions(model, data) == before and data.split_sizes == sizes
    batch = next(data.train(0))
    assert batch.x.dim() == 3 and batch.x.shape[2] == 16 and not batch.x.requires_grad
    assert model(batch.x).isfinite().all()


def test_features_are_not_computed_once_where_waveforms_change_or_the_model_wants_samples() -> None:
    x = torch.randn(6, 800)
    for model, data in ((MODELS["cnn"](), resident(x, augment=Augment(flip=1.0))), (MODELS["raw"](), resident(x))):
        assert not features_once(model, data)
        assert next(data.eval("val")).x.shape == (6, 800)


def test_masks_hide_frames_in_training_only() -> None:
    model = cnn_speech(SPEC, 4, augment=SpecAugment(time_masks=2, freq_masks=2), dropout=0.0, channels=(6,), **SMALL)
    x = padded(recordings())
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_a_gain_by_the_activation_knows_that_masks_pools_and_features_are_none() -> None:
    model = cnn_rnn_speech(SPEC, 4, augment=SpecAugment(), channels=(16, 8), units=12, **SMALL)
    orthogonal(model, Batch(padded(recordings()), torch.zeros(6)), gain="auto")
    second = model.convolutions.blocks[1].conv.weight.flatten(1)  # type: ignore[union-attr, index]
    torch.testing.assert_close(second @ second.T, 2 * torch.eye(8), atol=0.1, rtol=0)  # √2 of the ReLU before it


@pytest.mark.parametrize("make", [lstm_speech, cnn_speech, cnn_rnn_speech, cnn_speech_raw])
def test_other_data_is_refused_by_name(make: Any, image: Spec) -> None:
    with pytest.raises(ValueError, match=f"model={make.__name__} takes recordings, but .*image.*try model=cnn"):
        make(image, 3)


def test_even_filters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.kernel_size=4 must be odd"):
        cnn_speech(SPEC, 4, kernel_size=4, **SMALL)
    with pytest.raises(ValueError, match=r"model\.first_kernel=80 must be odd"):
        cnn_speech_raw(SPEC, 4, first_kernel=80)
