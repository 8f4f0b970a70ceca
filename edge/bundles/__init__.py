"""Bundles: geometry, sums and adaptors as one signed file, taken on trial."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .exchange import export_bundle, import_bundle, read_record, record_bundle, write_record
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "exchange": (
                "export_bundle",
                "import_bundle",
                "read_record",
                "record_bundle",
                "write_record",
            )
        },
    )

__all__ = ["export_bundle", "import_bundle", "read_record", "record_bundle", "write_record"]
