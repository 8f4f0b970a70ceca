"""Benchmarks of trust: whether alarms and answers hold on real streams."""
