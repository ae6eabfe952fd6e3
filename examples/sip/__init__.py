"""The SIP proxy: connect calls at the NIC; see README.md in the folder above."""
