"""The fleet: this device's sums to the others, theirs to this one."""
