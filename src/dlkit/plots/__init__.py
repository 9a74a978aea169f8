"""Pictures: one style for all of them. Nothing here knows a run."""
