"""The processors: what makes CPUs of a machine do one task each, and undoes it again."""
