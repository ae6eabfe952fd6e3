"""
The preflight: look for all that would keep packets from arriving, before and while they do.

`facts` says what can be known, `survey` and `probing` find it out, the modules `..._checks` judge
it, and `inspection` puts these together.
"""
