"""A simulated fleet: thousands of devices, a bad network, aggregators in a tree, one exact sum."""
