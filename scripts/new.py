"""Begin a project of one's own: `python scripts/new.py myproject`, the same as `dlkit new …`."""

from dlkit.cli.new import main

if __name__ == "__main__":
    main()
