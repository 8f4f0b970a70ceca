"""Knowledge as C and ONNX for microcontrollers: which extract fits a budget, and its cost."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .extract import ExtractShape, MeasuredExtract, full_shape, measure_extract, with_head
    from .liquid_c import ExportedForecaster, export_forecaster
    from .liquid_onnx import write_onnx
    from .measured_facts import MeasuredFacts, measure_facts
    from .plan import (
        KIB,
        ExportPlan,
        ExportRequest,
        FlashBudget,
        plan_export,
        read_facts,
        write_export,
    )

__all__ = [
    "KIB",
    "ExportPlan",
    "ExportRequest",
    "ExportedForecaster",
    "ExtractShape",
    "FlashBudget",
    "MeasuredExtract",
    "MeasuredFacts",
    "export_forecaster",
    "full_shape",
    "measure_extract",
    "measure_facts",
    "plan_export",
    "read_facts",
    "with_head",
    "write_export",
    "write_onnx",
]

__getattr__ = lazy_names(
    __name__,
    {
        "extract": (
            "ExtractShape",
            "MeasuredExtract",
            "full_shape",
            "measure_extract",
            "with_head",
        ),
        "liquid_c": ("ExportedForecaster", "export_forecaster"),
        "liquid_onnx": ("write_onnx",),
        "measured_facts": ("MeasuredFacts", "measure_facts"),
        "plan": (
            "ExportPlan",
            "ExportRequest",
            "FlashBudget",
            "KIB",
            "plan_export",
            "read_facts",
            "write_export",
        ),
    },
)
