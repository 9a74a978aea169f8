"""dlkit beside its peers and beside what can be written by hand: `python -m benchmarks.peers --help`."""
