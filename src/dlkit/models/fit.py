"""What a model demands of the data, said in one line where it is not met."""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.types import Spec


def needs_dense(model: str, spec: Spec) -> None:
    """Raises ValueError unless an example is one array of numbers of fixed size."""
    if spec.kind not in ("tabular", "image"):
        raise ValueError(f"{model} takes tables or images, but this data is of kind {spec.kind}: {_instead(spec)}")


def refuse_waveform(model: str, spec: Spec) -> None:
    """Raises ValueError where an example is a recording: its padding is NaN, for models that know of it."""
    if spec.kind == "waveform":
        raise ValueError(f"{model} takes no recordings: {_instead(spec)}")


def needs_image(model: str, spec: Spec) -> None:
    """Raises ValueError unless an example is an image (C, H, W)."""
    if spec.kind != "image":
        raise ValueError(
            f"{model} takes images, but this data is of kind {spec.kind} with examples of shape "
            f"{spec.input_shape}: {_instead(spec)}"
        )


def needs_halving(spec: Spec, channels: Sequence[int], kernel_size: int) -> None:
    """Raises ValueError unless convolutions keep the image's size and it can be halved once for each of `channels`."""
    height, width = spec.input_shape[1:]
    if kernel_size % 2 == 0:
        raise ValueError(f"model.kernel_size={kernel_size} must be odd, so that a convolution keeps the image's size")
    if min(height, width) >> len(channels) < 1:
        raise ValueError(
            f"model.channels={list(channels)} halves the image {len(channels)} times, too often for {height}x{width}"
        )


def needs_tokens(model: str, spec: Spec) -> int:
    """The number of tokens. Raises ValueError unless an example is a text of tokens (T,)."""
    if spec.kind != "tokens":
        raise ValueError(f"{model} takes texts, but this data is of kind {spec.kind}: {_instead(spec)}")
    assert spec.vocab_size is not None, "a Spec of tokens without vocab_size"
    return spec.vocab_size


def needs_waveform(model: str, spec: Spec) -> int:
    """The sample rate in Hz. Raises ValueError unless an example is a recording (T,)."""
    if spec.kind != "waveform":
        raise ValueError(f"{model} takes recordings, but this data is of kind {spec.kind}: {_instead(spec)}")
    assert spec.sample_rate is not None, "a Spec of waveforms without sample_rate"
    return spec.sample_rate


def _instead(spec: Spec) -> str:
    """Which model to try."""
    fitting = {"tokens": "lstm_text", "waveform": "cnn_speech", "image": "cnn"}
    return f"try model={fitting.get(spec.kind, 'mlp')}"
