"""State on disk: the SQLite ledger, its migrations, durable files, serialization."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .aggregate_file import (
        AggregateFile,
        AppliedRow,
        ChildPage,
        ChildRow,
        ChildState,
        OutlierRow,
        RefusalRow,
        RequestRow,
        RequestVerb,
        has_aggregate,
        leave_request,
    )
    from .bundle_trials import BundleTrial, ImportedBundle
    from .candidate_index import CandidateEntry
    from .card_fingerprint import read_card_fingerprint
    from .checkpoints import LogInUseError
    from .command_journal import AnsweredCommand, JournalEntry
    from .database import WriterLock, copy_updated, guard_errors, open_database, transaction
    from .digest_key import DigestKey
    from .durable_files import (
        SIDE_FILES,
        remove_file,
        replace_file,
        sync_folder,
        write_bytes,
        write_files,
        write_text,
    )
    from .file_copies import own_copies
    from .fleet_place import FleetPlace
    from .history_file import LABEL_KEPT, HistoryEvent, HistoryFile, events_as_data
    from .network_weights import (
        Weights,
        find_invalid_network,
        is_liquid,
        read_weights,
        shipped_weights,
        write_weights,
    )
    from .publications import (
        EXPORTS_MAX,
        AboveRow,
        AppliedAbove,
        BundleVersion,
        ExportedPart,
        ExportRecord,
        FleetRefusal,
        HeldBundle,
    )
    from .schema import run_steps
    from .serialization import LazyArrays, pack_arrays, pack_data, unpack_arrays, unpack_data
    from .series_state import SeriesStateFile
    from .store import Store
    from .stored_blueprint import StoredBlueprint, stored_form
    from .tables import TABLES_WITH_IDS, hash_id
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "aggregate_file": (
                "AggregateFile",
                "AppliedRow",
                "ChildPage",
                "ChildRow",
                "ChildState",
                "OutlierRow",
                "RefusalRow",
                "RequestRow",
                "RequestVerb",
                "has_aggregate",
                "leave_request",
            ),
            "bundle_trials": ("BundleTrial", "ImportedBundle"),
            "candidate_index": ("CandidateEntry",),
            "card_fingerprint": ("read_card_fingerprint",),
            "checkpoints": ("LogInUseError",),
            "command_journal": ("AnsweredCommand", "JournalEntry"),
            "database": (
                "WriterLock",
                "copy_updated",
                "guard_errors",
                "open_database",
                "transaction",
            ),
            "digest_key": ("DigestKey",),
            "durable_files": (
                "SIDE_FILES",
                "remove_file",
                "replace_file",
                "sync_folder",
                "write_bytes",
                "write_files",
                "write_text",
            ),
            "file_copies": ("own_copies",),
            "fleet_place": ("FleetPlace",),
            "history_file": ("HistoryEvent", "HistoryFile", "LABEL_KEPT", "events_as_data"),
            "network_weights": (
                "Weights",
                "find_invalid_network",
                "is_liquid",
                "read_weights",
                "shipped_weights",
                "write_weights",
            ),
            "publications": (
                "AboveRow",
                "AppliedAbove",
                "BundleVersion",
                "EXPORTS_MAX",
                "ExportRecord",
                "ExportedPart",
                "FleetRefusal",
                "HeldBundle",
            ),
            "schema": ("run_steps",),
            "serialization": (
                "LazyArrays",
                "pack_arrays",
                "pack_data",
                "unpack_arrays",
                "unpack_data",
            ),
            "series_state": ("SeriesStateFile",),
            "store": ("Store",),
            "stored_blueprint": ("StoredBlueprint", "stored_form"),
            "tables": ("TABLES_WITH_IDS", "hash_id"),
        },
    )

__all__ = [
    "EXPORTS_MAX",
    "LABEL_KEPT",
    "SIDE_FILES",
    "TABLES_WITH_IDS",
    "AboveRow",
    "AggregateFile",
    "AnsweredCommand",
    "AppliedAbove",
    "AppliedRow",
    "BundleTrial",
    "BundleVersion",
    "CandidateEntry",
    "ChildPage",
    "ChildRow",
    "ChildState",
    "DigestKey",
    "ExportRecord",
    "ExportedPart",
    "FleetPlace",
    "FleetRefusal",
    "HeldBundle",
    "HistoryEvent",
    "HistoryFile",
    "ImportedBundle",
    "JournalEntry",
    "LazyArrays",
    "LogInUseError",
    "OutlierRow",
    "RefusalRow",
    "RequestRow",
    "RequestVerb",
    "SeriesStateFile",
    "Store",
    "StoredBlueprint",
    "Weights",
    "WriterLock",
    "copy_updated",
    "events_as_data",
    "find_invalid_network",
    "guard_errors",
    "has_aggregate",
    "hash_id",
    "is_liquid",
    "leave_request",
    "open_database",
    "own_copies",
    "pack_arrays",
    "pack_data",
    "read_card_fingerprint",
    "read_weights",
    "remove_file",
    "replace_file",
    "run_steps",
    "shipped_weights",
    "stored_form",
    "sync_folder",
    "transaction",
    "unpack_arrays",
    "unpack_data",
    "write_bytes",
    "write_files",
    "write_text",
    "write_weights",
]
