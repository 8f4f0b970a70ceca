"""Fleets: thousands of devices summed exactly, hostile members, and training over devices."""
