"""
The importing: read what configures IPVS or HAProxy, and say the same as a configuration of lbctl.

`command` is what is typed; `ipvsadm` and `haproxy` read a text each and are pure; what they could
not take, or took with a difference, stands in `remarks`; `building` makes the configuration.
"""
