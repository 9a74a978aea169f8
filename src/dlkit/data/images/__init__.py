"""Pictures: folders of them, the known sets, random changes."""
