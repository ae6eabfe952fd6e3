"""The tests of lbctl: one folder per tier, see CONTRIBUTING.md."""
