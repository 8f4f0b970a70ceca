"""Trains on the home, or the recording, that the node's configuration names."""

from edge.federation import make_client_app, open_node

app = make_client_app(open_node)
