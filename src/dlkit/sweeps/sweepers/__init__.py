"""Which jobs a sweep has: all combinations of the values (`grid`), or what a search draws (`optuna/`)."""
