"""Live traffic in network namespaces, through the real daemon and the real command line."""
