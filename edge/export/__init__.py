"""Knowledge as C and ONNX for microcontrollers: which extract fits a budget, and its cost."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .budget import (
        KIB,
        ExportPlan,
        ExportRequest,
        FlashBudget,
        plan_export,
        read_statistics,
        write_export,
    )
    from .decision_onnx import DecisionRequest, export_decision
    from .extract import ExtractShape, MeasuredExtract, full_shape, measure_extract, with_head
    from .fact_statistics import FactStatistics, collect_statistics
    from .liquid_c import ExportedForecaster, export_forecaster
    from .liquid_onnx import write_onnx
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "budget": (
                "ExportPlan",
                "ExportRequest",
                "FlashBudget",
                "KIB",
                "plan_export",
                "read_statistics",
                "write_export",
            ),
            "decision_onnx": ("DecisionRequest", "export_decision"),
            "extract": (
                "ExtractShape",
                "MeasuredExtract",
                "full_shape",
                "measure_extract",
                "with_head",
            ),
            "fact_statistics": ("FactStatistics", "collect_statistics"),
            "liquid_c": ("ExportedForecaster", "export_forecaster"),
            "liquid_onnx": ("write_onnx",),
        },
    )

__all__ = [
    "KIB",
    "DecisionRequest",
    "ExportPlan",
    "ExportRequest",
    "ExportedForecaster",
    "ExtractShape",
    "FactStatistics",
    "FlashBudget",
    "MeasuredExtract",
    "collect_statistics",
    "export_decision",
    "export_forecaster",
    "full_shape",
    "measure_extract",
    "plan_export",
    "read_statistics",
    "with_head",
    "write_export",
    "write_onnx",
]
