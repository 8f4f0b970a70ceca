"""The demonstration, run with fewer images by the same code."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

import encoder
from edge.cli.views.demo import show_outcome
from edge.core.config import Config
from edge.core.events import Label, Observation, Publish, Rejected
from edge.core.facts import Selector
from edge.core.knowledge.derive import derive_knowledge
from edge.core.runtime import Runtime
from edge.demo.demo import KNOWN, NEW, run_demo
from edge.demo.events import DemoEvent, DemoOutcome, ImageEvent, PhaseEvent, TextEvent
from edge.demo.forget_proof import count_traces
from edge.demo.state import DemoPlan
from edge.sim.simulation import write_report
from edge.storage.store import Store
from tests.growers import accept, refuse

PLAN = DemoPlan(
    enrolled_per_digit=40,
    evaluated=80,
    known=120,
    unlabelled=160,
    labels_per_digit=12,
    labelled=100,
    pixels_per_digit=12,
)
CONFIG = Config()


@dataclass(frozen=True)
class Finished:
    """A finished demonstration, and its knowledge file."""

    events: tuple[DemoEvent, ...]
    path: Path
    model: encoder.Model

    @property
    def outcome(self) -> DemoOutcome:
        """The last event."""
        last = self.events[-1]
        assert isinstance(last, DemoOutcome)
        return last


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """The demonstration run once, with the shipped encoder and the durable store."""
    path = tmp_path_factory.mktemp("demo") / "knowledge.db"
    with encoder.open_model("efficientnet_lite0") as model:
        with Store.create(path, model.card) as store:
            events = tuple(run_demo(model, store, CONFIG, PLAN, started_at_ns=1, grower=accept))
        yield Finished(events, path, model)


def test_the_alarm_comes_after_the_switch_and_not_before(demo: Finished):
    """Known images raise no alarm; the new scanner raises one within two windows."""
    assert demo.outcome.known.alarms == 0
    assert demo.outcome.unlabelled.alarm_after is not None
    assert demo.outcome.unlabelled.alarm_after <= 2 * CONFIG.window
    assert demo.outcome.unlabelled.novelty > 0.9


def test_a_handful_of_labels_recovers_accuracy(demo: Finished):
    """Held-out images of the new scanner are read after the labels, and were not before."""
    evaluations = {one.when: one for one in demo.outcome.evaluations}
    before, after = (
        evaluations["before any label"],
        evaluations[f"after {demo.outcome.labels} labels"],
    )
    assert before.new < 0.5
    assert after.new > 0.7
    assert demo.outcome.labelled.accuracy > 0.7


def test_the_known_domain_is_not_forgotten(demo: Finished):
    """Neither the labels of another domain nor the forget request cost the known one much."""
    marks = [one.known for one in demo.outcome.evaluations]
    assert marks[0] > 0.8
    assert min(marks) > marks[0] - 0.05


def test_delayed_labels_join_the_new_domain(demo: Finished):
    """No label names a domain, and hardly any needs a person to move it."""
    assert demo.outcome.labels > 90
    assert demo.outcome.placed >= 0.95 * demo.outcome.labels


def test_forgetting_equals_never_having_learned(demo: Finished):
    """Receipt, file, and a derivation made here agree; the class is gone, the others are not."""
    with Store.open(demo.path, demo.model.card, writable=False) as store:
        runtime = Runtime(CONFIG, demo.model, store)
        again = derive_knowledge(store, runtime.knowledge.geometry).digest(
            demo.model.card.fingerprint
        )
        assert again == runtime.digest()
        receipt = demo.outcome.receipt
        assert store.key_digest(receipt.request_id, again) == receipt.digest_after
        assert store.select(Selector(domain=NEW, label=PLAN.digit)) == ()
        assert store.select(Selector(domain=KNOWN, label=PLAN.digit)) != ()
    assert demo.outcome.proof.holds
    assert demo.outcome.recording.digest == again
    assert receipt.digest_before != receipt.digest_after


def test_forgotten_features_were_in_the_file_and_are_not(demo: Finished):
    """The search that finds nothing afterwards found every one of them before."""
    proof = demo.outcome.proof
    assert proof.facts == proof.traces_before == proof.redelivered > 0
    assert proof.traces_after == 0


def test_the_search_for_traces_finds_remaining_facts(demo: Finished):
    """Facts that stayed are found in the file, so that finding none means something."""
    with Store.open(demo.path, demo.model.card, writable=False) as store:
        facts = next(iter(store.pages()))[:5]
    assert count_traces(demo.path, facts) == 5
    changed = [msgspec.structs.replace(fact, features=fact.features[::-1]) for fact in facts]
    assert count_traces(demo.path, changed) == 0


def test_a_forgotten_item_is_refused_by_a_runtime_opened_later(demo: Finished):
    """The tombstone is in the file: the label of a redelivered image is refused after a restart."""
    image = next(b.samples for b in demo.events if isinstance(b, PhaseEvent) and b.samples).images[
        0
    ]
    with Store.open(demo.path, demo.model.card, writable=False) as store:
        gone = next(
            key
            for key in (f"reader:{n}" for n in range(PLAN.known, len(demo.outcome.recording.steps)))
            if store.was_forgotten(key)
        )
        runtime = Runtime(CONFIG, demo.model, store)
        runtime.handle(
            Observation(stream="later", sequence=1, captured_at_ns=1, payload=image, id=gone)
        )
        (answer,) = runtime.handle(Label(gone, PLAN.digit))
    assert isinstance(answer, Publish)
    assert isinstance(answer.message, Rejected)


def test_an_adaptor_is_searched_grown_and_routed_to(demo: Finished):
    """The search is reported, the adaptor serves, and samples are routed to it."""
    lines = [event.text for event in demo.events if isinstance(event, TextEvent)]
    assert "12 blueprints fit" in lines
    assert any("serves: 90.0%, without it 80.0%" in line for line in lines)
    assert demo.outcome.labelled.routed > 0.9 * demo.outcome.labelled.images
    assert any("its own adaptor" in line for line in lines)
    assert [one.when for one in demo.outcome.evaluations] == [
        "before any label",
        f"after {demo.outcome.labels} labels",
        "with an adaptor",
        f"after forgetting its {PLAN.digit}s",
    ]
    assert (demo.outcome.recording.metrics["routing_accuracy"] or 0) > 0.9


def test_forgetting_makes_the_adaptor_again_until_another_is_judged(demo: Finished):
    """The first version had learned from the forgotten facts; the second had not."""
    lines = [event.text for event in demo.events if isinstance(event, TextEvent)]
    assert any("derived again without them" in line for line in lines)
    first, second = demo.outcome.recording.episodes
    assert first.state == second.state == "serving"
    assert first.until is not None
    assert second.facts == first.facts - demo.outcome.proof.facts
    with Store.open(demo.path, demo.model.card, writable=False) as store:
        (record,) = store.adaptors()[NEW]
        assert len(record.facts) < first.facts + PLAN.enrolled_per_digit * 10
        assert all(store.get(fact_id) is not None for fact_id in record.facts)


@pytest.mark.parametrize(
    ("grower", "word"),
    [(None, "torch is not installed"), (refuse, "the head alone keeps answering")],
)
def test_without_an_adaptor_the_head_keeps_answering(tmp_path: Path, grower, word: str):
    """Where nothing can grow, or nothing does better, an event says so and the run continues."""
    plan = replace(
        PLAN,
        enrolled_per_digit=10,
        evaluated=60,
        known=20,
        unlabelled=80,
        labelled=10,
        pixels_per_digit=5,
    )
    with (
        encoder.open_model("efficientnet_lite0") as model,
        Store.create(tmp_path / "knowledge.db", model.card) as store,
    ):
        events = list(run_demo(model, store, CONFIG, plan, started_at_ns=1, grower=grower))
        assert store.adaptors() == {}
    assert any(isinstance(event, TextEvent) and word in event.text for event in events)
    last = events[-1]
    assert isinstance(last, DemoOutcome)
    assert len(last.evaluations) == 3
    assert len({one.when for one in last.evaluations}) == 3


def test_every_image_is_shown_as_it_is_seen(demo: Finished):
    """A phase yields as many image events as it announced."""
    announced = sum(event.images for event in demo.events if isinstance(event, PhaseEvent))
    seen = sum(isinstance(event, ImageEvent) for event in demo.events)
    assert announced == seen == 10 * 40 + 2 * 80 + 120 + 160 + 100 + 120


def test_terminal_and_report_show_the_same_figures(demo: Finished, tmp_path: Path):
    """Each accuracy of the terminal's table stands in the report's, after forgetting too, the rate
    of false alarms is the same, and both name the class that is not evaluated any more."""
    screen = io.StringIO()
    show_outcome(demo.outcome, Console(file=screen, width=100))
    lines = screen.getvalue().splitlines()
    page = write_report((demo.outcome.recording,), tmp_path, "demo").read_text(encoding="utf-8")
    for one in demo.outcome.evaluations:
        (line,) = (each for each in lines if each.strip().startswith(one.when))
        shares = line.split(one.when)[1].split()[:2]
        assert shares == [f"{one.known:.1%}", f"{one.new:.1%}"]
        for share in shares:
            assert f">{share.replace('%', ' %')}</text>" in page
    assert demo.outcome.evaluations[-1].new == demo.outcome.evaluations[-1].others
    (line,) = (each for each in lines if "called new though known" in each)
    (share,) = re.findall(r"= (\S+)% \(chosen", line)
    plain = re.sub(r"<[^>]+>", " ", page)
    assert re.search(rf"False-alarm rate, samples\s+{re.escape(share)}\s%", plain)
    for text in (screen.getvalue().lower(), page.lower()):
        assert f"not evaluated: {NEW}/{PLAN.digit}" in text


def test_the_report_shows_images_known_and_new(demo: Finished, tmp_path: Path):
    """A row of images for each source while it was new and once it was known, each image with the
    answer it got; below every picture stands a sentence."""
    recording = demo.outcome.recording
    groups = list(dict.fromkeys(one.group for one in recording.thumbnails))
    assert groups == ["mnist, known", "optdigits, new", "optdigits, known"]
    new = [one.answer for one in recording.thumbnails if one.group == "optdigits, new"]
    assert new.count("new") > 0.8 * len(new)
    page = write_report((recording,), tmp_path, "demo").read_text(encoding="utf-8")
    assert page.count('<img src="data:image/png;base64,') == len(recording.thumbnails) > 20
    assert page.count("<figure") == page.count("<figcaption>")


def test_the_report_states_the_rule_of_the_alarm(demo: Finished, tmp_path: Path):
    """The dashed line names how long the curve has to stay below it, and the alarm of the run came
    no earlier."""
    recording = demo.outcome.recording
    page = write_report((recording,), tmp_path, "demo").read_text(encoding="utf-8")
    assert f"an alarm needs more than {CONFIG.window} in a row below 0.01" in page
    raised = next(step.index for step in recording.steps if step.alarm)
    latest = reversed(recording.steps[: raised + 1])
    streak = sum(1 for _ in takewhile(lambda step: step.window_p < recording.rate, latest))
    assert streak > CONFIG.window


def test_the_report_is_written_and_needs_nothing_else(demo: Finished, tmp_path: Path):
    """The recording makes a page without references to other files or hosts."""
    page = write_report((demo.outcome.recording,), tmp_path, "demo")
    text = page.read_text(encoding="utf-8")
    assert 'src="http' not in text
    assert 'href="http' not in text
    assert demo.outcome.recording.metrics["detection_delay"] is not None
