"""What lies on disk: which files there are, what stands in them and what is wrong with them; fetched, read and kept."""
