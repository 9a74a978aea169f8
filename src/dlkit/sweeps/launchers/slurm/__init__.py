"""Jobs on a Slurm cluster: its queue, how jobs are followed there, and what a node does."""
