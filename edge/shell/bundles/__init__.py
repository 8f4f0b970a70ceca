"""Bundles: geometry, sums and adaptors as one signed file; tried, then kept or taken back."""
