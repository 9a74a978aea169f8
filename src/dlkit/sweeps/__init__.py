"""Many runs of one config: their names and folders, who runs them where, and what they found."""
