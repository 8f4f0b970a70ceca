"""Reading a user's own data: class folders, tables, sounds, recorded time series."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .class_folders import Example, Examples, Skipped, display_path
    from .recordings import Row, SeriesFile, SeriesRows, read_recording
    from .sounds import RATE_HZ
    from .tables import accepted_examples, read_column_names, read_examples
    from .time_columns import RECOGNISED, NamedColumns
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "class_folders": ("Example", "Examples", "Skipped", "display_path"),
            "recordings": ("Row", "SeriesFile", "SeriesRows", "read_recording"),
            "sounds": ("RATE_HZ",),
            "tables": ("accepted_examples", "read_column_names", "read_examples"),
            "time_columns": ("NamedColumns", "RECOGNISED"),
        },
    )

__all__ = [
    "RATE_HZ",
    "RECOGNISED",
    "Example",
    "Examples",
    "NamedColumns",
    "Row",
    "SeriesFile",
    "SeriesRows",
    "Skipped",
    "accepted_examples",
    "display_path",
    "read_column_names",
    "read_examples",
    "read_recording",
]
