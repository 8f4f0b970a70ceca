"""Audits of forget requests: twins, attacks, traces, and a report in plain words."""
