"""Growing an adaptor: time, acceptance, serving meanwhile."""
