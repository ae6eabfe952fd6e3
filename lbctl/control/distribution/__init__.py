"""
The distribution: who should get which part of a pool's new connections, and who gets it now.

What a scheduler wants is one thing, what is given another: between them are averages, a
dead band, steps, a floor and slow start (`lbctl.model.Balance`), so that the shares do not swing.
Pure: no tables, no clock.
"""

from lbctl.control.distribution.distributor import Distribution, Distributor
from lbctl.control.distribution.member import Member

__all__ = ["Distribution", "Distributor", "Member"]
