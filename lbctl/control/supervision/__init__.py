"""
The supervision: what checks, agents and the data path find, made into how the back-ends stand.

Health owns whether a back-end may get connections, load how many.  The two never mix: no agent
brings back what a check holds to be dead.
"""
