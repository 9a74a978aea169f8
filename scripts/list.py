"""List runs: `python scripts/list.py model=cnn`, the same as `dlkit list …`."""

from dlkit.cli.list import main

if __name__ == "__main__":
    main()
