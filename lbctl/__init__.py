"""lbctl: a packet switch and server load balancer made of XDP programs and a Python control processor."""

__version__ = "0.1.0"
