"""Forgetting: pauses, traces, collateral, series, fleets and duplicates."""
