"""The demonstration's story, told with fewer images by the same code."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import pytest
from rich.console import Console

import encoder
from edge.cli.views.demo import show_outcome
from edge.core.config import Config
from edge.core.events import Label, Observation, Publish, Rejected
from edge.core.facts import Selector
from edge.core.knowledge.knowledge import derive_knowledge
from edge.core.runtime import Runtime
from edge.demo.demo import KNOWN, NEW, run_demo
from edge.demo.events import Beat, ChapterEvent, DemoOutcome, ImageEvent, TextEvent
from edge.demo.forget_proof import count_traces
from edge.demo.story import DemoPlan
from edge.sim.simulation import write_report
from edge.storage.store import Store
from tests.growers import accept, refuse

PLAN = DemoPlan(
    enrolled_per_digit=40,
    exam=80,
    known=120,
    unlabelled=160,
    labels_per_digit=12,
    labelled=100,
    pixels_per_digit=12,
)
CONFIG = Config()


@dataclass(frozen=True)
class Told:
    """A finished story, and the file it left."""

    beats: tuple[Beat, ...]
    path: Path
    model: encoder.Model

    @property
    def outcome(self) -> DemoOutcome:
        """The last beat."""
        last = self.beats[-1]
        assert isinstance(last, DemoOutcome)
        return last


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The story told once, with the shipped encoder and the durable store."""
    path = tmp_path_factory.mktemp("demo") / "knowledge.db"
    with encoder.open_model("efficientnet_lite0") as model:
        with Store.create(path, model.card) as store:
            beats = tuple(run_demo(model, store, CONFIG, PLAN, 1, accept))
        yield Told(beats, path, model)


def test_the_alarm_comes_after_the_switch_and_not_before(told: Told):
    """Known images raise no alarm; the new scanner raises one within two windows."""
    assert told.outcome.known.alarms == 0
    assert told.outcome.unlabelled.alarm_after is not None
    assert told.outcome.unlabelled.alarm_after <= 2 * CONFIG.window
    assert told.outcome.unlabelled.novelty > 0.9


def test_a_handful_of_labels_recovers_accuracy(told: Told):
    """Held-out images of the new scanner are read after the labels, and were not before."""
    exams = {exam.when: exam for exam in told.outcome.exams}
    before, after = exams["before any label"], exams[f"after {told.outcome.labels} labels"]
    assert before.new < 0.5
    assert after.new > 0.7
    assert told.outcome.labelled.accuracy > 0.7


def test_the_known_domain_is_not_forgotten(told: Told):
    """Neither the labels of another domain nor the forget request cost the known one much."""
    marks = [exam.known for exam in told.outcome.exams]
    assert marks[0] > 0.8
    assert min(marks) > marks[0] - 0.05


def test_late_labels_find_the_new_domain_by_themselves(told: Told):
    """No label names a domain, and hardly any needs a person to move it."""
    assert told.outcome.labels > 90
    assert told.outcome.placed >= 0.95 * told.outcome.labels


def test_forgetting_leaves_what_never_having_seen_gives(told: Told):
    """Receipt, file, and a derivation made here agree; the class is gone, the others are not."""
    with Store.open(told.path, told.model.card, writable=False) as store:
        runtime = Runtime(CONFIG, told.model, store)
        again = derive_knowledge(store, runtime.knowledge.geometry).digest(
            told.model.card.fingerprint
        )
        assert again == runtime.digest() == told.outcome.receipt.digest_after
        assert store.select(Selector(domain=NEW, label=PLAN.digit)) == ()
        assert store.select(Selector(domain=KNOWN, label=PLAN.digit)) != ()
    assert told.outcome.proof.holds
    assert told.outcome.recording.digest == again
    assert told.outcome.receipt.digest_before != again


def test_forgotten_features_were_in_the_file_and_are_not(told: Told):
    """The search that finds nothing afterwards found every one of them before."""
    proof = told.outcome.proof
    assert proof.facts == proof.traces_before == proof.redelivered > 0
    assert proof.traces_after == 0


def test_the_search_for_traces_finds_what_is_there(told: Told):
    """Facts that stayed are found in the file, so that finding none means something."""
    with Store.open(told.path, told.model.card, writable=False) as store:
        facts = next(iter(store.pages()))[:5]
    assert count_traces(told.path, facts) == 5
    changed = [replace(fact, features=fact.features[::-1]) for fact in facts]
    assert count_traces(told.path, changed) == 0


def test_a_forgotten_item_is_refused_by_a_runtime_opened_later(told: Told):
    """The tombstone is in the file: the label of a redelivered image is refused after a restart."""
    image = next(b.samples for b in told.beats if isinstance(b, ChapterEvent) and b.samples).images[
        0
    ]
    with Store.open(told.path, told.model.card, writable=False) as store:
        gone = next(
            key
            for key in (f"reader:{n}" for n in range(PLAN.known, len(told.outcome.recording.steps)))
            if store.was_forgotten(key)
        )
        runtime = Runtime(CONFIG, told.model, store)
        runtime.handle(
            Observation(stream="later", sequence=1, captured_at_ns=1, payload=image, id=gone)
        )
        (answer,) = runtime.handle(Label(gone, PLAN.digit))
    assert isinstance(answer, Publish)
    assert isinstance(answer.message, Rejected)


def test_an_adaptor_is_searched_grown_and_routed_to(told: Told):
    """What the search says is told, the adaptor serves, and samples find their way to it."""
    lines = [beat.text for beat in told.beats if isinstance(beat, TextEvent)]
    assert "12 blueprints fit" in lines
    assert any("serves: 90.0%, without it 80.0%" in line for line in lines)
    assert told.outcome.labelled.routed > 0.9 * told.outcome.labelled.images
    assert any("its own adaptor" in line for line in lines)
    assert [exam.when for exam in told.outcome.exams] == [
        "before any label",
        f"after {told.outcome.labels} labels",
        "with an adaptor",
        f"after forgetting its {PLAN.digit}s",
    ]
    assert (told.outcome.recording.metrics["routing_accuracy"] or 0) > 0.9


def test_forgetting_ends_the_adaptor_and_another_is_grown(told: Told):
    """The first version had learned from what was forgotten; the second had not."""
    first, second = told.outcome.recording.episodes
    assert first.state == second.state == "serving"
    assert first.until is not None
    assert second.facts == first.facts - told.outcome.proof.facts
    with Store.open(told.path, told.model.card, writable=False) as store:
        (record,) = store.adaptors()[NEW]
        assert len(record.facts) < first.facts + PLAN.enrolled_per_digit * 10
        assert all(store.get(fact_id) is not None for fact_id in record.facts)


@pytest.mark.parametrize(
    ("grower", "word"), [(None, "torch is not installed"), (refuse, "the head goes on alone")]
)
def test_without_an_adaptor_the_head_goes_on_alone(tmp_path: Path, grower, word: str):
    """Where nothing can grow, or nothing does better, the story says so and goes on."""
    plan = replace(
        PLAN,
        enrolled_per_digit=10,
        exam=60,
        known=20,
        unlabelled=80,
        labelled=10,
        pixels_per_digit=5,
    )
    with (
        encoder.open_model("efficientnet_lite0") as model,
        Store.create(tmp_path / "knowledge.db", model.card) as store,
    ):
        beats = list(run_demo(model, store, CONFIG, plan, 1, grower))
        assert store.adaptors() == {}
    assert any(isinstance(beat, TextEvent) and word in beat.text for beat in beats)
    last = beats[-1]
    assert isinstance(last, DemoOutcome)
    assert len(last.exams) == 3
    assert len({exam.when for exam in last.exams}) == 3


def test_every_image_is_shown_as_it_is_seen(told: Told):
    """The bar of a chapter gets as many beats as the chapter announced."""
    announced = sum(beat.images for beat in told.beats if isinstance(beat, ChapterEvent))
    seen = sum(isinstance(beat, ImageEvent) for beat in told.beats)
    assert announced == seen == 10 * 40 + 2 * 80 + 120 + 160 + 100 + 120


def test_terminal_and_report_show_the_same_figures(told: Told, tmp_path: Path):
    """Each accuracy of the terminal's table stands in the report's, after forgetting too, and both
    name the class that is not asked for any more."""
    screen = io.StringIO()
    show_outcome(told.outcome, Console(file=screen, width=100))
    lines = screen.getvalue().splitlines()
    page = write_report((told.outcome.recording,), tmp_path, "demo").read_text(encoding="utf-8")
    for exam in told.outcome.exams:
        (line,) = (each for each in lines if each.strip().startswith(exam.when))
        shares = line.split(exam.when)[1].split()[:2]
        assert shares == [f"{exam.known:.1%}", f"{exam.new:.1%}"]
        for share in shares:
            assert f">{share.replace('%', ' %')}</text>" in page
    assert told.outcome.exams[-1].new == told.outcome.exams[-1].others
    for text in (screen.getvalue().lower(), page.lower()):
        assert f"not asked for: {NEW}/{PLAN.digit}" in text


def test_the_report_shows_images_known_and_new(told: Told, tmp_path: Path):
    """A row of images for each source while it was new and once it was known, each image with the
    answer it got; below every picture stands a sentence."""
    recording = told.outcome.recording
    groups = list(dict.fromkeys(one.group for one in recording.thumbnails))
    assert groups == ["mnist, known", "optdigits, new", "optdigits, known"]
    new = [one.answer for one in recording.thumbnails if one.group == "optdigits, new"]
    assert new.count("new") > 0.8 * len(new)
    page = write_report((recording,), tmp_path, "demo").read_text(encoding="utf-8")
    assert page.count("<img src='data:image/png;base64,") == len(recording.thumbnails) > 20
    assert page.count("<figure") == page.count("<figcaption>")


def test_the_report_states_the_rule_of_the_alarm(told: Told, tmp_path: Path):
    """The dashed line names how long the curve has to stay below it, and the alarm of the run came
    no earlier."""
    recording = told.outcome.recording
    page = write_report((recording,), tmp_path, "demo").read_text(encoding="utf-8")
    assert f"an alarm needs more than {CONFIG.window} in a row below 0.01" in page
    raised = next(step.index for step in recording.steps if step.alarm)
    latest = reversed(recording.steps[: raised + 1])
    streak = sum(1 for _ in takewhile(lambda step: step.window_p < recording.rate, latest))
    assert streak > CONFIG.window


def test_the_report_is_written_and_needs_nothing_else(told: Told, tmp_path: Path):
    """The recording makes a page without references to other files or hosts."""
    page = write_report((told.outcome.recording,), tmp_path, "demo")
    text = page.read_text(encoding="utf-8")
    assert 'src="http' not in text
    assert 'href="http' not in text
    assert told.outcome.recording.metrics["detection_delay"] is not None
