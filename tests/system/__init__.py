"""The system as a whole, on other kernels and machines than this one."""
