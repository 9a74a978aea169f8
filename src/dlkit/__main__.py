"""`python -m dlkit` is the `dlkit` command."""

from dlkit.cli import main

main()
