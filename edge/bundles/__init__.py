"""Bundles: geometry, sums and adaptors as one signed file, taken on trial."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .exchange import export_bundle, import_bundle, read_record, record_bundle, write_record
    from .fleet_adaptor import (
        FleetAdaptor,
        export_fleet_adaptor,
        export_fleet_forecaster,
        record_fleet_bundle,
    )
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
            ),
            "fleet_adaptor": (
                "FleetAdaptor",
                "export_fleet_adaptor",
                "export_fleet_forecaster",
                "record_fleet_bundle",
            ),
        },
    )

__all__ = [
    "FleetAdaptor",
    "export_bundle",
    "export_fleet_adaptor",
    "export_fleet_forecaster",
    "import_bundle",
    "read_record",
    "record_bundle",
    "record_fleet_bundle",
    "write_record",
]
