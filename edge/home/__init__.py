"""A home: the folder with one runtime's settings, encoder card and knowledge, and its actions."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from . import actions, growth, transfer
    from .actions import (
        Inspection,
        LearnSummary,
        Moved,
        Prediction,
        Tick,
        VerifyReport,
        acknowledged,
        json_line,
        verify_home,
    )
    from .agreement import AgreementCount
    from .alike import Alike, find_alike_facts
    from .archives import packs_database
    from .bundle_trial import BUNDLE_FOLDER
    from .chosen_settings import choose_policy, choose_rate
    from .column_finder import ColumnFinder
    from .command_context import CommandContext
    from .console_views import ForgetPreview, describe_knowledge, observation_values, preview_forget
    from .device_port import (
        Attachment,
        alarm_outputs,
        attach_port,
        device_turns,
        event_as_data,
        link_totals,
    )
    from .first_geometry import fit_first_geometry, prepare_first_geometry
    from .forecasting import (
        DEFAULT,
        ForecastOptions,
        ForecastRow,
        ForecastScore,
        anomaly_as_data,
        change_as_data,
        forecast_file,
        row_as_data,
    )
    from .found_files import OUTBOX, search_home
    from .gallery import GalleryView
    from .growth import AdaptorSummary, Beat, GrowthOutcome, grow_due, list_adaptors
    from .home import Home
    from .input_model import open_encoder
    from .labelling import (
        Column,
        Explained,
        FlaggedObservation,
        WaitingLabels,
        explain_observation,
        raw_input,
        unnamed_columns,
        waiting_labels,
    )
    from .new_home import create_home
    from .process_memory import keep_memory_small, return_free_memory, tune_garbage_collector
    from .raw_inputs import window_of
    from .selections import describe_selector, missing_names
    from .similar_groups import group_rows
    from .train_forecaster import train_on_recording
    from .transfer import MergeSummary, RestoreSummary
    from .typos import KnownNames, likely_typo, warning_of
    from .undoing import DoneAction, done_actions
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "actions": (
                "Inspection",
                "LearnSummary",
                "Moved",
                "Prediction",
                "Tick",
                "VerifyReport",
                "acknowledged",
                "json_line",
                "verify_home",
            ),
            "agreement": ("AgreementCount",),
            "alike": ("Alike", "find_alike_facts"),
            "archives": ("packs_database",),
            "bundle_trial": ("BUNDLE_FOLDER",),
            "chosen_settings": ("choose_policy", "choose_rate"),
            "column_finder": ("ColumnFinder",),
            "command_context": ("CommandContext",),
            "console_views": (
                "ForgetPreview",
                "describe_knowledge",
                "observation_values",
                "preview_forget",
            ),
            "device_port": (
                "Attachment",
                "alarm_outputs",
                "attach_port",
                "device_turns",
                "event_as_data",
                "link_totals",
            ),
            "first_geometry": ("fit_first_geometry", "prepare_first_geometry"),
            "forecasting": (
                "DEFAULT",
                "ForecastOptions",
                "ForecastRow",
                "ForecastScore",
                "anomaly_as_data",
                "change_as_data",
                "forecast_file",
                "row_as_data",
            ),
            "found_files": ("OUTBOX", "search_home"),
            "gallery": ("GalleryView",),
            "growth": ("AdaptorSummary", "Beat", "GrowthOutcome", "grow_due", "list_adaptors"),
            "home": ("Home",),
            "input_model": ("open_encoder",),
            "labelling": (
                "Column",
                "Explained",
                "FlaggedObservation",
                "WaitingLabels",
                "explain_observation",
                "raw_input",
                "unnamed_columns",
                "waiting_labels",
            ),
            "new_home": ("create_home",),
            "process_memory": ("keep_memory_small", "return_free_memory", "tune_garbage_collector"),
            "raw_inputs": ("window_of",),
            "selections": ("describe_selector", "missing_names"),
            "similar_groups": ("group_rows",),
            "train_forecaster": ("train_on_recording",),
            "transfer": ("MergeSummary", "RestoreSummary"),
            "typos": ("KnownNames", "likely_typo", "warning_of"),
            "undoing": ("DoneAction", "done_actions"),
        },
    )

__all__ = [
    "BUNDLE_FOLDER",
    "DEFAULT",
    "OUTBOX",
    "AdaptorSummary",
    "AgreementCount",
    "Alike",
    "Attachment",
    "Beat",
    "Column",
    "ColumnFinder",
    "CommandContext",
    "DoneAction",
    "Explained",
    "FlaggedObservation",
    "ForecastOptions",
    "ForecastRow",
    "ForecastScore",
    "ForgetPreview",
    "GalleryView",
    "GrowthOutcome",
    "Home",
    "Inspection",
    "KnownNames",
    "LearnSummary",
    "MergeSummary",
    "Moved",
    "Prediction",
    "RestoreSummary",
    "Tick",
    "VerifyReport",
    "WaitingLabels",
    "acknowledged",
    "actions",
    "alarm_outputs",
    "anomaly_as_data",
    "attach_port",
    "change_as_data",
    "choose_policy",
    "choose_rate",
    "create_home",
    "describe_knowledge",
    "describe_selector",
    "device_turns",
    "done_actions",
    "event_as_data",
    "explain_observation",
    "find_alike_facts",
    "fit_first_geometry",
    "forecast_file",
    "group_rows",
    "grow_due",
    "growth",
    "json_line",
    "keep_memory_small",
    "likely_typo",
    "link_totals",
    "list_adaptors",
    "missing_names",
    "observation_values",
    "open_encoder",
    "packs_database",
    "prepare_first_geometry",
    "preview_forget",
    "raw_input",
    "return_free_memory",
    "row_as_data",
    "search_home",
    "train_on_recording",
    "transfer",
    "tune_garbage_collector",
    "unnamed_columns",
    "verify_home",
    "waiting_labels",
    "warning_of",
    "window_of",
]
