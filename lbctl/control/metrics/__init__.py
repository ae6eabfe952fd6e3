"""
The metrics: what the switch counts and knows, in the text forms that Prometheus reads.

Reads the tables and the values that others replace as a whole, when somebody asks; changes nothing
and never takes the controller's lock.  What there is, and what each means, is in `catalogue`.
"""
