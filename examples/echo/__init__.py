"""The echo: answer UDP at the NIC; see README.md in the folder above."""
