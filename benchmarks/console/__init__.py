"""The web console: what it costs the daemon, how fast it is, how accessible its screens are."""
