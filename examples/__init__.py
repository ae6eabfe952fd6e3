"""The examples: complete network applications; see README.md beside this file."""
