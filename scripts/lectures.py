"""Run the lectures: `python scripts/lectures.py sparsity`, the same as `dlkit lectures …`."""

from dlkit.cli.lectures import main

if __name__ == "__main__":
    main()
