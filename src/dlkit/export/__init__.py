"""A trained model as a file that runs without dlkit (ONNX, torch.export), or as plain weights (safetensors)."""
