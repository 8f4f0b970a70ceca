"""Simulated link loads of backbones under failures and repairs: time series with known drift."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .page import render_links, trial_as_data
    from .trial import LinkTrial, run_link_trial
else:
    __getattr__ = lazy_names(
        __name__,
        {"page": ("render_links", "trial_as_data"), "trial": ("LinkTrial", "run_link_trial")},
    )

__all__ = ["LinkTrial", "render_links", "run_link_trial", "trial_as_data"]
