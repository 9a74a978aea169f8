"""Train a run again and compare: `python scripts/reproduce.py RUN`, the same as `dlkit reproduce …`."""

from dlkit.cli.reproduce import main

if __name__ == "__main__":
    main()
