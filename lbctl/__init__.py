"""lbctl: a packet switch and server load balancer of XDP programs and a control processor."""

__version__ = "0.1.0"
