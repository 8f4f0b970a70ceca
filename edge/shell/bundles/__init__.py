"""Bundles: adaptors, sums and geometry as one signed file; tried, then kept or taken back."""
