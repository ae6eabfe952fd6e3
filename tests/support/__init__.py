"""What tests share: features of the kernel, privilege, frames, program runs, wires."""
