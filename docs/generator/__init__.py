"""The reference: one module for each page, each with a function that gives its text."""
