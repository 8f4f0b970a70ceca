"""The world around the core: files, the store, the command line."""

from .store import Store

__all__ = ["Store"]
