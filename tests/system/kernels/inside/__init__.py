"""What runs in a guest: `python -m tests.system.kernels.inside` there makes all checks."""
