"""Shared memory: the tables that switching processors and control processor both see."""
