"""Commands that read, and those about the daemon and its bundles: each yields the fields of its
answer, in the loop's thread."""

import base64
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from ..core import EdgeError, FitGeometry, Rejected, StateError
from ..home import CommandContext, Home
from .requests import (
    AgreeingCommand,
    BundleImportCommand,
    BundleRecordCommand,
    BundleRemoveCommand,
    ExplainCommand,
    FleetCommand,
    ForgetPreviewCommand,
    GalleryCommand,
    HistoryCommand,
    KeepLabelCommand,
    KeptLabelsCommand,
    PolicyCommand,
    RateCommand,
    RawCommand,
    ReceiptsCommand,
    Request,
    SeriesCommand,
    ValuesCommand,
)


def open_home(request: Request, context: CommandContext) -> Home:
    """Return the home that a command is for; raises StateError if it is not open."""
    home = context.homes[request.home].home
    if home is None:
        raise StateError(
            f"the home {request.home!r} is not open", "the daemon keeps trying to open it"
        )
    return home


def _list_adaptors(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import list_adaptors

    home = open_home(request, context)
    yield "adaptors", [msgspec.to_builtins(one) for one in list_adaptors(home)]


def _list_candidates(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import waiting_labels

    yield from msgspec.to_builtins(waiting_labels(open_home(request, context))).items()


def _explain(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import explain_observation

    assert isinstance(request, ExplainCommand)
    explained = explain_observation(open_home(request, context), request.observation_id)
    yield from msgspec.to_builtins(explained).items()


def _raw_input(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import raw_input

    assert isinstance(request, RawCommand)
    raw = raw_input(open_home(request, context), request.observation_id)
    yield "raw", "" if raw is None else base64.b64encode(raw).decode()


def _values(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import observation_values

    assert isinstance(request, ValuesCommand)
    found = observation_values(open_home(request, context), request.observation_ids)
    yield from msgspec.to_builtins(found).items()


def _history(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..storage import events_as_data

    assert isinstance(request, HistoryCommand)
    home = open_home(request, context)
    context.record_history()
    events = home.history.read(
        before=request.before,
        kinds=request.kinds,
        stream=request.stream,
        limit=request.limit + 1,
    )
    yield "events", list(events_as_data(events[: request.limit]))
    yield "more", len(events) > request.limit


def _gallery(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import GalleryView

    assert isinstance(request, GalleryCommand)
    home = open_home(request, context)
    view = GalleryView(
        offset=request.offset,
        limit=request.limit,
        order=request.order,
        stream=request.stream,
        guess=request.guess,
        state=request.state,
    )
    page = home.gallery.page(home.runtime, view, home.raws_in_memory)
    # Encoded with the answer: as plain data first, a large page would take twice as long.
    yield from msgspec.structs.asdict(page).items()


def _series(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    assert isinstance(request, SeriesCommand)
    home = open_home(request, context)
    trail = home.trail
    found = trail.view(request.stream, request.forecasts)
    if found is None:
        raise EdgeError(
            f"reading the series {request.stream!r}: no sample has arrived since the start",
            f"series with samples: {', '.join(trail.names()) or 'none'}",
        )
    yield from msgspec.to_builtins(found).items()
    yield "provisional", request.stream in home.runtime.series.replaying


def _forget_preview(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import preview_forget

    assert isinstance(request, ForgetPreviewCommand)
    found = preview_forget(open_home(request, context), request.select.selector)
    yield from msgspec.to_builtins(found).items()


def _receipts(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    assert isinstance(request, ReceiptsCommand)
    home = open_home(request, context)
    store, pending = home.store, home.runtime.pending_forgets()
    yield "pending", [msgspec.to_builtins(one) for one in pending]
    yield "problem", home.forget_problem
    waiting = {one.request_id for one in pending}
    listed = store.lists.receipts(request.limit)
    yield "receipts", [one for one in listed if one["request_id"] not in waiting]
    yield "total", store.receipt_count()


def _knowledge(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import describe_knowledge

    yield from msgspec.to_builtins(describe_knowledge(open_home(request, context))).items()


def _fleet(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..fleet import describe_fleet

    assert isinstance(request, FleetCommand)
    home = open_home(request, context)
    found = describe_fleet(home, request.state, request.find, request.offset)
    yield from msgspec.to_builtins(found).items()


def _agreeing(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    assert isinstance(request, AgreeingCommand)
    gallery = open_home(request, context).gallery
    yield "observation_ids", list(gallery.agreeing(request.undo_id, request.label))


def _keep_label(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..storage import LABEL_KEPT, HistoryEvent

    assert isinstance(request, KeepLabelCommand)
    home = open_home(request, context)
    name, label, history = request.observation_id, request.label, home.history
    fact = home.store.get(name)
    if request.kept and (fact is None or fact.label != label):
        raise EdgeError(
            f"keeping the label {label!r} of {name!r}: it has another label by now, or none",
            "look at its label again",
        )
    # What happened before it must not be mistaken for a failure of this event.
    context.record_history()
    if not request.kept:
        history.take_back_kept(name, label)
    elif not history.kept_labels([(name, label)]):
        event = HistoryEvent(
            at_ns=context.now_ns(),
            kind=LABEL_KEPT,
            domain=fact.domain if fact is not None else "",
            text=f"The label {label} of an observation was checked and kept",
            fields={"label": label},
            observation_ids=(name,),
        )
        history.append([event])
        if history.problem:
            raise StateError(f"keeping the label: {history.problem}", "check the disk")
    yield "kept", request.kept


def _kept_labels(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    assert isinstance(request, KeptLabelsCommand)
    given = [(one.observation_id, one.label) for one in request.labels]
    found = open_home(request, context).history.kept_labels(given)
    yield "labels", [{"observation_id": key, "label": label} for key, label in found]


def _list_actions(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import done_actions

    found = done_actions(open_home(request, context), context.now_ns())
    yield "actions", [msgspec.to_builtins(one) for one in found]


def _status(_request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    yield from msgspec.to_builtins(context.status()).items()


def _health(_request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    status = context.status()
    yield from (("state", status.state), ("problems", list(status.problems)))
    yield "uptime_s", status.uptime_s


def _rebirth(_request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    context.rebirth()
    yield from ()


def _reload(_request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    yield "did", list(context.reload())


def _fit_geometry(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    home = open_home(request, context)
    if home.settings.fleet is not None:
        # Also one that is not fitted: sums that were exchanged under it no longer add up after a
        # fit, and the console fits by itself.
        raise StateError(
            "fitting the geometry: sums of other devices depend on it",
            "a member of a fleet keeps the geometry that all members share; `auricle fit-geometry`"
            " starts a fleet again",
        )
    for message in context.feed(request.home, FitGeometry()):
        if isinstance(message, Rejected):
            raise StateError(message.reason, message.hint)
    yield "facts", sum(home.store.concepts().values())


def _choose_rate(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import choose_rate

    assert isinstance(request, RateCommand)
    choose_rate(open_home(request, context), request.rate)
    yield "did", list(context.reload())


def _choose_policy(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import choose_policy

    assert isinstance(request, PolicyCommand)
    choose_policy(open_home(request, context), request.policy)
    yield "did", list(context.reload())


def _pause(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    context.pause(paused=request.verb == "pause")
    yield "paused", request.verb == "pause"


def _import_bundle(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..bundles import import_bundle

    assert isinstance(request, BundleImportCommand)
    report = import_bundle(open_home(request, context), request.name, context.now_ns())
    yield from msgspec.to_builtins(report).items()


def _record_bundle(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..bundles import read_record, record_bundle

    assert isinstance(request, BundleRecordCommand)
    home = open_home(request, context)
    record_bundle(home, read_record(home.folder, request.name))
    yield "recorded", request.name


def _remove_bundle(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    assert isinstance(request, BundleRemoveCommand)
    home = open_home(request, context)
    yield from msgspec.to_builtins(home.remove_bundle(request.publisher, request.counter)).items()


def _confirm_bundle(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    yield from msgspec.to_builtins(open_home(request, context).confirm_trial()).items()


def _revert_bundle(request: Request, context: CommandContext) -> Iterator[tuple[str, Any]]:
    report = open_home(request, context).end_trial("reverted by command")
    yield from msgspec.to_builtins(report).items()


QUERIES: Final[dict[str, Callable[[Any, CommandContext], Iterator[tuple[str, Any]]]]] = {
    "adaptors": _list_adaptors,
    "candidates": _list_candidates,
    "explain": _explain,
    "raw": _raw_input,
    "values": _values,
    "history": _history,
    "gallery": _gallery,
    "series": _series,
    "forget-preview": _forget_preview,
    "receipts": _receipts,
    "knowledge": _knowledge,
    "fleet": _fleet,
    "actions": _list_actions,
    "keep-label": _keep_label,
    "kept-labels": _kept_labels,
    "agreeing": _agreeing,
    "status": _status,
    "health": _health,
    "rebirth": _rebirth,
    "reload": _reload,
    "fit-geometry": _fit_geometry,
    "false-alarm-rate": _choose_rate,
    "adaptation": _choose_policy,
    "pause": _pause,
    "resume": _pause,
    "bundle-import": _import_bundle,
    "bundle-confirm": _confirm_bundle,
    "bundle-revert": _revert_bundle,
    "bundle-record": _record_bundle,
    "bundle-remove": _remove_bundle,
}
