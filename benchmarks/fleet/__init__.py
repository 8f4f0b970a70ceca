"""A fleet: devices merged exactly, and models trained over devices."""
