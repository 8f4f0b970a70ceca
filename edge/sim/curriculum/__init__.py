"""A curriculum over worlds: which faults and drifts the runtime still copes with, and which break
it.

Theory of operation.  A scenario gets parameters in a box: how far the data shift, how many labels
come and how late, which faults strike.  A teacher proposes a point of the box, the simulator runs
that world with all its checks, and the teacher learns the reward.  ALP-GMM draws worlds where the
reward changes between neighbours.  A broken promise is a defect; it and the sharpest drops are
written as scenario files.
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .search import CurriculumLine, CurriculumReport, search_worlds
    from .teachers import TEACHERS
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "search": ("CurriculumLine", "CurriculumReport", "search_worlds"),
            "teachers": ("TEACHERS",),
        },
    )

__all__ = ["TEACHERS", "CurriculumLine", "CurriculumReport", "search_worlds"]
