"""Released weights: exported from runs, checked before they are read, loaded by name."""
