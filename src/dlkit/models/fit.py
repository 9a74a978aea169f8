"""What a model demands of the data, said in one line where it is not met."""

from __future__ import annotations

from dlkit.types import Spec


def needs_dense(model: str, spec: Spec) -> None:
    """Raises ValueError unless an example is one array of numbers of fixed size."""
    if spec.kind not in ("tabular", "image"):
        raise ValueError(f"{model} takes tables or images, but this data is of kind {spec.kind}")


def needs_image(model: str, spec: Spec) -> None:
    """Raises ValueError unless an example is an image (C, H, W)."""
    if spec.kind != "image":
        raise ValueError(
            f"{model} takes images, but this data is of kind {spec.kind} with examples of shape "
            f"{spec.input_shape}: try model=mlp"
        )
