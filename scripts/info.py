"""Show a run: `python scripts/info.py latest`, the same as `dlkit info …`."""

from dlkit.cli.info import main

if __name__ == "__main__":
    main()
