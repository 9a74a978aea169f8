"""Measure a trained model: `python scripts/evaluate.py latest`, the same as `dlkit evaluate …`."""

from dlkit.cli.evaluate import main

if __name__ == "__main__":
    main()
