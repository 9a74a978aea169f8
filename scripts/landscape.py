"""Draw the loss around a run's weights: `python scripts/landscape.py latest`, the same as `dlkit landscape …`."""

from dlkit.cli.landscape import main

if __name__ == "__main__":
    main()
