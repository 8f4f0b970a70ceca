"""The demonstration's adaptor: searched for, trained, judged, and grown again after forgetting."""

from collections.abc import Iterator
from typing import Final

from ..core import Grown, GrowRequest
from .demo_beats import Beat, Line, Pause
from .demo_story import Story
from .recording import Episode, Trial
from .workshop import NO_TORCH

TEXT: Final = "A worker looks for a small network that reads more of the examples held out."
WORKING: Final = "searching and training in a process of its own"


def grow(story: Story, domain: str) -> Iterator[Beat]:
    """Grow an adaptor of a domain, tell what became of it, and examine the reader where it serves.

    Where nothing can grow it says so; the head goes on alone.
    """
    workshop = story.desk.workshop
    if workshop.grow is None:
        yield Line(NO_TORCH)
        return
    story.tell(GrowRequest(domain))
    yield Pause(WORKING)
    workshop.now = len(story.steps)
    result = workshop.collect(wait=True)
    assert result is not None, "the job that was asked for has just been taken"
    story.tell(Grown(result))
    episode = workshop.episodes[-1]
    story.mark("adaptor" if episode.state == "serving" else "growth", f"{domain}: {episode.state}")
    yield from (Line(text) for text in episode.search if "score" not in text)
    yield from (Line(_trial(trial)) for trial in episode.trials)
    yield _verdict(episode)


def adapted(story: Story, domain: str) -> bool:
    """Say whether an adaptor serves a domain."""
    return domain in story.desk.store.adaptors()


def _trial(trial: Trial) -> str:
    read = "not judged" if trial.accuracy is None else f"{trial.accuracy:.1%} of them"
    return f"{trial.blueprint}: {read}"


def _verdict(episode: Episode) -> Line:
    took = "" if episode.seconds is None else f", after {episode.seconds:.1f} s"
    if episode.accuracy is None or episode.incumbent is None:
        return Line(f"{episode.reason}; the head goes on alone{took}", "bad")
    if episode.state == "serving":
        text = f"{episode.blueprint} serves: {episode.accuracy:.1%}, without it"
        return Line(f"{text} {episode.incumbent:.1%}{took}", "good")
    text = f"without them {episode.incumbent:.1%}: no more than chance explains"
    return Line(f"{text}, the head goes on alone{took}")
