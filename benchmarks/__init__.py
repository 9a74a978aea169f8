"""Measurements that take longer than a test should. Run from the repository: `python -m benchmarks.<name>`."""
