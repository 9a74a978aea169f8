"""Draw the learning rate of a run: `python scripts/schedule.py scheduler=cosine`, the same as `dlkit schedule …`."""

from dlkit.cli.schedule import main

if __name__ == "__main__":
    main()
