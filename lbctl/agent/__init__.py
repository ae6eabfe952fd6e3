"""
The load agent: tell a switch how busy this back-end server is.

It runs on the server itself and needs no BPF, no root and nothing of lbctl but this package and
the errors.  What becomes of its figures is the master module's to decide, never its own.
"""
