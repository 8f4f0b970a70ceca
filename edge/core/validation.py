"""Validation of events before they are handled: an invalid one changes nothing."""

from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from . import limits
from .columns import find_invalid_columns
from .events import (
    ConfirmAlarm,
    Enrol,
    Event,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    Label,
    LabelMany,
    Observation,
    PersonEvent,
    Relabel,
    Rollback,
    Undo,
    Undoable,
    UndoMerge,
    Unlabel,
)
from .facts import Fact, Selector
from .jobs import GrowthResult
from .knowledge import Contribution
from .receipt import DuplicateGuard

QUOTED_CHARS = 40
"""Characters quoted of a rejected text: enough to find it, short enough to send."""


def find_invalid(event: Event, width: int) -> str:
    """Return why an event is invalid; empty if it is valid.  width: columns of the features.

    Texts must fit file columns, topics and table cells; numbers must fit 64-bit integers.  Payloads
    are validated by the encoder.
    """
    if isinstance(event, Observation) and _is_valid_observation(event):
        return ""
    return next(_event_reasons(event, width), "")


def find_invalid_fact(fact: Fact, width: int) -> str:
    """Return why a fact is invalid, without its id; empty if it is valid.  width: of features."""
    return next(_fact_reasons(fact, width), "")


def _is_valid_observation(event: Observation) -> bool:
    """Return whether an observation is valid, by a fast check that covers nearly all valid ones."""
    key, stream, subject, recording = event.key, event.stream, event.subject, event.recording
    texts = type(key) is type(stream) is type(subject) is type(recording) is str
    if not (texts and type(event.captured_at_ns) is type(event.sequence) is int):
        return False
    return (
        # All texts together are nearly always shorter than one may be.
        _fits(key + stream + subject + recording)
        and bool(key.strip() and stream.strip())
        and (not subject or bool(subject.strip()))
        and (not recording or bool(recording.strip()))
        and 0 <= event.captured_at_ns <= limits.COUNT_MAX
        and 0 <= event.sequence <= limits.COUNT_MAX
        and event.kind in {"sample", "series"}
    )


def _event_reasons(event: Event, width: int) -> Iterator[str]:
    match event:
        case Observation():
            yield from _text_reasons(id=event.key, stream=event.stream)
            yield from _optional_text_reasons(subject=event.subject, recording=event.recording)
            yield from _count_reasons(captured_at_ns=event.captured_at_ns, sequence=event.sequence)
            if event.kind not in {"sample", "series"}:
                yield f"kind must be sample or series, found {_quoted(event.kind)}"
        case Label():
            yield from _text_reasons(observation_id=event.observation_id, label=event.label)
            yield from _optional_text_reasons(domain=event.domain)
        case Enrol():
            yield from _facts_reasons(event.facts, width)
        case LabelMany() | Unlabel() | Undoable() | Undo():
            yield from _action_reasons(event, width)
        case _:
            yield from _request_reasons(event)


def _action_reasons(event: LabelMany | Unlabel | Undoable | Undo, width: int) -> Iterator[str]:
    match event:
        case LabelMany():
            labels: object = event.labels
            if not (isinstance(labels, tuple) and all(isinstance(x, Label) for x in labels)):
                yield f"labels must be a tuple of labels, found {_quoted(labels)}"
        case Unlabel():
            for fact_id in event.observation_ids:
                yield from _text_reasons(observation_id=fact_id)
        case Undoable():
            yield from _text_reasons(action_id=event.action_id)
            yield from _count_reasons(at_ns=event.at_ns)
            inner: object = event.event
            if isinstance(inner, PersonEvent):
                yield from _event_reasons(inner, width)
            else:
                yield f"event must be one of a person, found {_quoted(inner)}"
        case Undo():
            yield from _text_reasons(action_id=event.action_id)
            yield from _count_reasons(at_ns=event.at_ns)


def _request_reasons(event: Event) -> Iterator[str]:
    match event:
        case Relabel():
            yield from _selector_reasons(event.selector)
            yield from _optional_text_reasons(label=event.label, domain=event.domain)
            if not (event.label or event.domain):
                yield "a new label or a new domain must be given"
        case UndoMerge():
            yield from _text_reasons(merge_id=event.merge_id)
        case ForgetRequest():
            yield from _forget_reasons(event)
        case GrowRequest() | Rollback():
            yield from _text_reasons(request_id=event.request_id, domain=event.domain)
        case ConfirmAlarm():
            yield from _text_reasons(alarm_id=event.alarm_id, stream=event.stream)
            yield from _count_reasons(at_ns=event.at_ns)
        case Contribution():
            yield from _contribution_reasons(event)
        case GrowthFinished():
            result: object = event.result
            if not isinstance(result, GrowthResult):
                yield f"result must be a GrowthResult, found {_quoted(result)}"


def _forget_reasons(event: ForgetRequest) -> Iterator[str]:
    yield from _text_reasons(request_id=event.request_id)
    yield from _count_reasons(requested_at_ns=event.requested_at_ns)
    yield from _selector_reasons(event.selector)
    if event.duplicates not in get_args(DuplicateGuard):
        yield f"duplicates must be off, exact or near, found {_quoted(event.duplicates)}"


def _contribution_reasons(event: Contribution) -> Iterator[str]:
    yield from _text_reasons(device=event.device, card=event.card, geometry=event.geometry)
    yield from _count_reasons(revision=event.revision, seed=event.seed, samples=event.samples)
    columns: object = event.columns
    if not isinstance(columns, tuple):
        yield f"columns must be a tuple of names, found {_quoted(columns)}"
    elif wrong := find_invalid_columns(columns, len(columns)):
        yield f"columns: {wrong}"
    samples: object = event.samples
    if isinstance(samples, int) and samples > limits.CONTRIBUTED_SAMPLES_MAX:
        yield f"samples must be at most {limits.CONTRIBUTED_SAMPLES_MAX}, found {event.samples}"
    if bool(event.samples) != bool(event.arrays):
        yield "sums are required if samples is above 0, and only then"


def _facts_reasons(facts: object, width: int) -> Iterator[str]:
    if not isinstance(facts, tuple):
        yield f"facts must be a tuple of facts, found {_quoted(facts)}"
        return
    for fact in facts:
        if isinstance(fact, Fact):
            wrong = find_invalid_fact(fact, width)
            if wrong:
                yield f"fact {_quoted(fact.id)}: {wrong}"
        else:
            yield f"facts must be facts, found {_quoted(fact)}"


def _fact_reasons(fact: Fact, width: int) -> Iterator[str]:
    yield from _text_reasons(id=fact.id, domain=fact.domain, label=fact.label)
    yield from _optional_text_reasons(stream=fact.stream, subject=fact.subject)
    yield from _optional_text_reasons(recording=fact.recording)
    yield from _count_reasons(captured_at_ns=fact.captured_at_ns, revision=fact.revision)
    yield from _features_reasons(fact.features, width)


def _features_reasons(features: object, width: int) -> Iterator[str]:
    if not isinstance(features, bytes):
        yield f"features must be bytes, found {_quoted(features)}"
    elif len(features) != width:
        yield f"features must be {width} bytes, found {len(features)}"


def _selector_reasons(selector: object) -> Iterator[str]:
    if not isinstance(selector, Selector):
        yield f"selector must be a Selector, found {_quoted(selector)}"
        return
    ids: object = selector.ids
    if not (ids is None or isinstance(ids, frozenset)):
        yield f"selector.ids must be a frozenset of ids, found {_quoted(ids)}"
        return
    names = ("subject", "stream", "domain", "label", "recording")
    yield from _optional_text_reasons(**_given(selector, names))
    # Sorted as text: invalid ids may not be comparable.
    for fact_id in sorted(selector.ids or (), key=str):
        yield from _text_reasons(id=fact_id)
    yield from _count_reasons(**_given(selector, ("from_ns", "until_ns")))


def _given(selector: Selector, names: tuple[str, ...]) -> dict[str, Any]:
    """Return those of the named fields that are given."""
    return {name: one for name in names if (one := getattr(selector, name)) is not None}


def _text_reasons(**texts: Any) -> Iterator[str]:
    for name, text in texts.items():
        if not (isinstance(text, str) and text.strip() and _fits(text)):
            yield (
                f"{name} must be 1 to {limits.TEXT_CHARS_MAX} printable characters, "
                f"found {_quoted(text)}"
            )


def _optional_text_reasons(**texts: Any) -> Iterator[str]:
    yield from _text_reasons(**{name: text for name, text in texts.items() if text != ""})


def _count_reasons(**numbers: Any) -> Iterator[str]:
    for name, number in numbers.items():
        if not (isinstance(number, int) and 0 <= number <= limits.COUNT_MAX):
            yield f"{name} must be a whole number from 0 to 2^63 - 1, found {_quoted(number)}"


def _fits(text: str) -> bool:
    return len(text) <= limits.TEXT_CHARS_MAX and text.isprintable()


def brief(selector: Selector) -> str:
    """Return a selector as text, truncated to a length that can be sent: it may name many ids."""
    fields = msgspec.structs.asdict(selector)
    given = {name: value for name, value in fields.items() if value is not None}
    return str(given)[: limits.TEXT_CHARS_MAX]


def _quoted(found: object) -> str:
    if isinstance(found, str) and len(found) > QUOTED_CHARS:
        return f"{found[:QUOTED_CHARS]!r}... ({len(found)} characters)"
    return repr(found)[: 2 * QUOTED_CHARS]
