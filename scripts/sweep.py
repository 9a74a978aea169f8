"""Go on with a sweep: `python scripts/sweep.py resume latest`, the same as `dlkit sweep …`."""

from dlkit.cli.sweep import main

if __name__ == "__main__":
    main()
