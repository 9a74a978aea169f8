"""Architectures, one a file: `(spec, outputs, *, options) -> nn.Module`, which maps `Batch.x` to (B, outputs)."""
