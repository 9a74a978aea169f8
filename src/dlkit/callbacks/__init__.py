"""What watches and adjusts a run. Callbacks see `State`, never the trainer, and are called in the order listed."""
