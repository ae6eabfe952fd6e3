"""
The explanation: what the switch would do with one packet, and why, told stage by stage.

A question is words or a frame (`questions`, `frames`), which is given to the NIC that it would come
in by (`arrival`).  What the traced program made of it is read together with the names of things
(`case`, `names`, `headers`) and told in sentences (`recognition`, `choice`, `departure`).
"""
