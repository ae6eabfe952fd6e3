"""
The simulation: what each scheduler would make of servers and a load, without a switch.

The distributor is the one that `lbctld` uses; servers, agents and clients are models.
"""
