"""The demonstration's adaptor: searched for, trained, judged, and grown again after forgetting."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from ..core import GrowRequest, GrowthFinished
from ..sim import NO_TORCH, GrowthAttemptRecord, GrowthEpisode, RoutingRecord, tabulate_answers
from .events import Beat, PauseEvent, TextEvent
from .story import DemoState

TEXT: Final = "A worker looks for a small adaptor that reads more of the examples held out."
WORKING: Final = "searching and training in a process of its own"


def grow_in_demo(story: DemoState, domain: str) -> Iterator[Beat]:
    """Grow an adaptor of a domain, tell what became of it, and examine the reader where it serves.

    Where nothing can grow it says so; the head goes on alone.
    """
    workshop = story.desk.workshop
    if workshop.grow is None:
        yield TextEvent(NO_TORCH)
        return
    workshop.now = len(story.steps)
    story.tell(GrowRequest(domain))
    yield PauseEvent(WORKING)
    result = workshop.collect(wait=True)
    assert result is not None, "the job that was asked for has just been taken"
    story.tell(GrowthFinished(result))
    episode = workshop.episodes[-1]
    story.mark("adaptor" if episode.state == "serving" else "growth", f"{domain}: {episode.state}")
    yield from (TextEvent(text) for text in episode.search if "score" not in text)
    yield from (TextEvent(_trial(trial)) for trial in episode.trials)
    yield describe_verdict(episode)


def route_in_demo(story: DemoState, domains: tuple[str, str]) -> RoutingRecord:
    """Count where the held-out images of both sources are sent.  domains: what the device calls
    them, which by now is what they are called."""
    desk = story.desk
    counts: Counter[str] = Counter()
    for (domain, _), count in desk.runtime.knowledge.memory.counts.items():
        counts[domain] += count
    singles = dict(zip(domains, map(desk.ask, story.sheets), strict=True))
    streams = dict(zip(domains, map(desk.follow, story.sheets), strict=True))
    learned = {(name, name): counts[name] for name in domains}
    return tabulate_answers(singles, streams, learned, desk.runtime.knowledge, desk.config.window)


def adapted_accuracy(story: DemoState, domain: str) -> bool:
    """Say whether an adaptor serves a domain."""
    return domain in story.desk.store.adaptors()


def _trial(trial: GrowthAttemptRecord) -> str:
    read = "not judged" if trial.accuracy is None else f"{trial.accuracy:.1%} of them"
    return f"{trial.blueprint}: {read}"


def describe_verdict(episode: GrowthEpisode) -> TextEvent:
    """Say in one line what became of a growth."""
    took = "" if episode.seconds is None else f", after {episode.seconds:.1f} s"
    if episode.accuracy is None or episode.incumbent is None:
        return TextEvent(f"{episode.reason}; the head goes on alone{took}", "bad")
    if episode.state == "serving":
        tried = {(trial.blueprint, trial.accuracy) for trial in episode.trials}
        mine = (episode.blueprint, episode.accuracy) in tried
        how = "serves" if mine else "of another domain serves here, too"
        text = f"{episode.blueprint} {how}: {episode.accuracy:.1%}, without it"
        return TextEvent(f"{text} {episode.incumbent:.1%}{took}", "good")
    text = f"without them {episode.incumbent:.1%}: no more than chance explains"
    return TextEvent(f"{text}, the head goes on alone{took}")
