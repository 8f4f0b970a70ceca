"""Out-of-distribution detection on real features."""
