"""Single packets through the real program, one file per stage."""
