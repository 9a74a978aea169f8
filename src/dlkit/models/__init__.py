"""Architectures, one a file. A model is `(spec, outputs, *, options) -> nn.Module`, mapping `Batch.x` to (B, outputs)."""
