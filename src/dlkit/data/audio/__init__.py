"""Recordings: folders of them, the known sets, made vowels, random changes."""
