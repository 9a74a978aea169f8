"""Report a sweep: `python scripts/report.py latest`, the same as `dlkit report …`."""

from dlkit.cli.report import main

if __name__ == "__main__":
    main()
