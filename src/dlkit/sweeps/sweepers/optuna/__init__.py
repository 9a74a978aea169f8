"""A search, over Optuna: what can be drawn (`space`), trials of jobs (`trials`), bad ones ended early (`pruning`)."""
