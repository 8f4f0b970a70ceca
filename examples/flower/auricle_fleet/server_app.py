"""Runs the rounds; the configuration is in pyproject.toml."""

from edge.federation import make_server_app

app = make_server_app()
