"""What a sweep found: read from the files of its jobs, at any time, without torch."""
