"""Jobs on a Ray cluster: how they are handed over and followed, and what a machine does."""
