"""The DNS responder: answer for a zone at the NIC; see README.md in the folder above."""
