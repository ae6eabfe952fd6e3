"""
The resources: ask load agents of every kind, and remember what each said last.

`polling` asks one agent again and again, `http` and `line` are the two ways of asking, `push`
listens to those who speak by themselves.  `signed`, `haproxy`, `node_exporter` and `orca` each
read the answers of one kind of agent.  `tracked` is what is known of an agent, and `remote` does
all that on another computer than the switch.
"""
