"""Tables: files, the known sets, and columns as numbers."""
