"""Audits of forget requests on real data."""
