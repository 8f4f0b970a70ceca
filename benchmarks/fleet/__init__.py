"""Fleets: thousands of devices summed exactly, an aggregator's memory, hostile members."""
