"""Export a trained model: `python scripts/export.py RUN --format onnx`, the same as `dlkit export …`."""

from dlkit.cli.export import main

if __name__ == "__main__":
    main()
