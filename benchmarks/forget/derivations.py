"""What the parts cost that a forget request derives again, each on its own.

`python -m benchmarks.forget.derivations KIND FACTS DOMAINS FOLDER` measures a home that
`benchmarks.scale.worlds` has written, and prints JSON: seconds of processor time.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from edge.core import tap_spans
from edge.core.adaptation import DOMAINS_MAX, BasisRefit
from edge.core.adaptors import TunedKernels
from edge.core.knowledge import (
    Changes,
    GeometryFitter,
    GeometryRefit,
    HeadRefit,
    Refit,
    ThresholdsRefit,
)
from edge.home import Home

from ..scale.worlds import SizedHome

TURNS = 3
"""Times that each part is derived; the least counts."""


def measure(world: SizedHome, written: Path) -> dict[str, float]:
    """Time four derivations: a geometry with all sums and thresholds, the thresholds of a domain,
    the adaptors of all domains (once tuning their kernels, once reusing the tuned ones), and the
    basis of adaptation."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "home"
        shutil.copytree(written, place)
        with Home(place, deferring=True) as home:
            home.store.drop_derived()
            return _derive(home, world)


def _derive(home: Home, world: SizedHome) -> dict[str, float]:
    known, card = home.runtime.knowledge, world.card
    # Another seed: the geometry in use is not the one that is due.
    seed = home.runtime.config.seed + 1
    fitter = GeometryFitter(tap_spans(card.slices), seed, card.quantiser)
    spans, domains = known.geometry.slices, known.learned

    def fit(refit: Refit) -> None:
        refit.gather(home.store)
        refit.prepare(Changes())
        refit.solve()

    def heads(tuned: TunedKernels) -> TunedKernels:
        for domain in domains:
            fit(HeadRefit(domain=domain, learned=domains, record=None, spans=spans, tuned=tuned))
        return tuned

    def basis() -> BasisRefit:
        chosen = domains[:DOMAINS_MAX]
        return BasisRefit(domains=chosen, spans=spans, contents=None, tuned=kept)

    count = sum(n for (name, _), n in known.own.counts.items() if name == domains[0])
    part = known.memory.part
    made = {
        "geometry_s": _least(lambda: fit(GeometryRefit(fitter=fitter, card=card.fingerprint))),
        "thresholds_s": _least(
            lambda: fit(ThresholdsRefit(domain=domains[0], count=count, memory=part))
        ),
        "adaptors_s": _least(lambda: heads(TunedKernels())),
    }
    kept = heads(TunedKernels())
    return made | {
        "adaptors_tuned_s": _least(lambda: heads(kept)),
        "basis_s": _least(lambda: fit(basis())),
    }


def _least(call: Callable[[], object]) -> float:
    """The least processor time of this thread over some calls."""
    found = []
    for _ in range(TURNS):
        began = time.thread_time()
        call()
        found.append(time.thread_time() - began)
    return min(found)


def main(kind: str, facts: str, domains: str, folder: str) -> None:
    """Measure a written home."""
    print(json.dumps(measure(SizedHome(kind, int(facts), int(domains)), Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
