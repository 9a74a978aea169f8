"""What the files under conf/ name."""
