"""
The kernel matrix: lbctl under other kernels, each in a virtual machine; `make test-vm` runs it.

    __main__    the command line: which kernels, where results go
      ├── archive   a release's kernel, from the distribution's own mirror
      ├── wires     the networks that the machine's NICs are plugged into
      ├── machine   boots the kernel on this machine's own root file system, read-only
      │     └── inside/    what runs in there: checks, each with a line of result
      └── results   what was found, kept as JSON; docs/generator/kernels.py makes a page of it
"""
