"""A Flower app of Auricle."""
