"""Growing an adaptor: search, training, judgement.  The only room beside nas/proxies with torch.

Imported in the worker process, by the simulator and by benchmarks; never by what serves.
"""

from .growing import grow
from .studying import study
from .training import train

__all__ = ["grow", "study", "train"]
