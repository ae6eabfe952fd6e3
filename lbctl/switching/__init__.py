"""The switching processors: compile, load and attach the programs that move packets."""
