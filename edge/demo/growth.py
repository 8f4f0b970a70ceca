"""Growth in the demonstration: search, training, acceptance test, and the report of each."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from ..core import GrowRequest, GrowthFinished, Receipt, Tick
from ..extras import missing_torch
from ..sim import GrowthAttemptRecord, GrowthEpisode, RoutingRecord, tabulate_routing
from .events import DemoEvent, TextEvent, WaitEvent
from .state import DemoState

TEXT: Final = "A worker searches for a small adaptor that reads more of the held-out examples."
WORKING: Final = "searching and training in a separate process"


def grow_in_demo(state: DemoState, domain: str) -> Iterator[DemoEvent]:
    """Grow an adaptor for a domain and report the result.

    Without a grower, one line says so; the head alone keeps answering.
    """
    worker = state.device.worker
    if worker.grow is None:
        yield TextEvent(missing_torch())
        return
    worker.now = len(state.steps)
    state.feed(GrowRequest(domain))
    yield WaitEvent(WORKING)
    result = worker.collect(wait=True)
    assert result is not None, "the request above has started a job"
    state.feed(GrowthFinished(result))
    episode = worker.episodes[-1]
    state.mark("adaptor" if episode.state == "serving" else "growth", f"{domain}: {episode.state}")
    yield from (TextEvent(text) for text in episode.search if "score" not in text)
    yield from (TextEvent(_describe_trial(trial)) for trial in episode.trials)
    yield describe_verdict(episode)


def make_again_in_demo(state: DemoState, receipt: Receipt) -> str:
    """Let the worker train again what the forgotten facts had shaped; return what became of it."""
    worker = state.device.worker
    if worker.grow is not None and state.device.store.pending_adaptors():
        worker.now = len(state.steps)
        state.feed(Tick())
        result = worker.collect(wait=True)
        assert result is not None, "the tick has started the job"
        state.feed(GrowthFinished(result))
    found = "".join(sorted({one.outcome for one in receipt.adaptors})) or "kept"
    return f"the adaptor had learned from them: {found} without them, until another is judged"


def route_in_demo(state: DemoState, domains: tuple[str, str]) -> RoutingRecord:
    """Count where the held-out images of both sources are routed.  domains: their names on the
    device, the same as the true ones by then."""
    device = state.device
    counts: Counter[str] = Counter()
    for (domain, _), count in device.runtime.knowledge.memory.counts.items():
        counts[domain] += count
    return tabulate_routing(
        dict(zip(domains, map(device.decide_each, state.held_out), strict=True)),
        dict(zip(domains, map(device.decide_in_order, state.held_out), strict=True)),
        learned={(name, name): counts[name] for name in domains},
        knowledge=device.runtime.knowledge,
        window=device.config.window,
    )


def has_adaptor(state: DemoState, domain: str) -> bool:
    """Return whether an adaptor serves a domain."""
    return domain in state.device.store.adaptors()


def _describe_trial(trial: GrowthAttemptRecord) -> str:
    read = "not evaluated" if trial.accuracy is None else f"{trial.accuracy:.1%} of them"
    return f"{trial.blueprint}: {read}"


def describe_verdict(episode: GrowthEpisode) -> TextEvent:
    """Report in one line how a growth ended."""
    took = "" if episode.seconds is None else f", after {episode.seconds:.1f} s"
    if episode.accuracy is None or episode.incumbent is None:
        return TextEvent(f"{episode.reason}; the head alone keeps answering{took}", "bad")
    if episode.state == "serving":
        tried = {(trial.blueprint, trial.accuracy) for trial in episode.trials}
        own = (episode.blueprint, episode.accuracy) in tried
        how = "serves" if own else "of another domain serves here, too"
        text = f"{episode.blueprint} {how}: {episode.accuracy:.1%}, without it"
        text = f"{text} {episode.incumbent:.1%}{took}"
        if any((trial.accuracy or 0) > episode.accuracy for trial in episode.trials):
            text += "; a higher figure is within chance, and the search expects most of this one"
        return TextEvent(text, "good")
    text = f"without them {episode.incumbent:.1%}: the gain is within chance"
    return TextEvent(f"{text}, the head alone keeps answering{took}")
