"""Bundles: geometry, sums and adaptors as one signed file, taken on trial."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .exchange import FOLDER, export_bundle, import_bundle
else:
    __getattr__ = lazy_names(__name__, {"exchange": ("FOLDER", "export_bundle", "import_bundle")})

__all__ = ["FOLDER", "export_bundle", "import_bundle"]
