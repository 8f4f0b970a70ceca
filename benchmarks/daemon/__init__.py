"""Throughput, latency, memory and start-up of the daemon."""
