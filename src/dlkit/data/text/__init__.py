"""Texts: files, the known sets, and tokens."""
