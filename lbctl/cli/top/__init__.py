"""
The top: the switch at work on a whole screen, redrawn every second.

`command` is what is typed; `live` goes round and round: it asks (`look`), counts (`readings`), and
draws (`screen`, from the tables of `pages`), and does what keys say (`keys`, `view`).  All but
`live` and `keys` are pure.
"""
