"""The demonstration's adaptor: searched for, trained, judged, and grown again after forgetting."""

from collections.abc import Iterator
from typing import Final

from ..core import Grown, GrowRequest
from .demo_beats import Beat, Line, Pause, Tone
from .demo_story import Story
from .recording import Episode
from .workshop import NO_TORCH

TEXT: Final = "A worker looks for a small network that reads more of the examples held back."
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
    yield from (Line(text) for text in episode.search)
    yield _verdict(episode)


def adapted(story: Story, domain: str) -> bool:
    """Say whether an adaptor serves a domain."""
    return domain in story.desk.store.adaptors()


def _verdict(episode: Episode) -> Line:
    took = "" if episode.seconds is None else f", after {episode.seconds:.1f} s"
    if episode.accuracy is None or episode.incumbent is None:
        return Line(f"{episode.reason}; the head goes on alone{took}", "bad")
    change = f"{episode.incumbent:.1%} → {episode.accuracy:.1%}"
    tone: Tone = "good" if episode.state == "serving" else "plain"
    end = f"{episode.blueprint} serves" if tone == "good" else "the head goes on alone"
    return Line(f"examples held back, read right: {change}; {end}{took}", tone)
