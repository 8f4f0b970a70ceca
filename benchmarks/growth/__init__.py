"""Growing an adaptor: time, acceptance test, serving at the same time."""
