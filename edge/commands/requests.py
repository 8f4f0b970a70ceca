"""The commands: one strict struct each, distinguished by `verb`."""

from typing import Annotated, Any, Final, Literal

import msgspec

from ..core import (
    ConfirmAlarm,
    DuplicateGuard,
    ForgetRequest,
    GrowRequest,
    Label,
    Relabel,
    Rollback,
    Selector,
    Undo,
    UndoMerge,
    Unlabel,
)
from ..core import limits as core_limits

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=core_limits.TEXT_CHARS_MAX)]
NameOrEmpty = Annotated[str, msgspec.Meta(max_length=core_limits.TEXT_CHARS_MAX)]
Instant = Annotated[int, msgspec.Meta(ge=0, le=core_limits.COUNT_MAX)]
IDS_MAX: Final = 1_000
"""Ids in one selector: with 64 characters each they fill a command of the default size limit."""

PAGE_MAX: Final = 500
"""Rows of one page: more than a screen shows of small pictures."""

VALUES_MAX: Final = 100
"""Observations whose values are returned at once: with the shipped image encoder they are an answer
of half a megabyte."""

EVENTS_LISTED_MAX: Final = 200
"""Events of one answer: several screens of lines."""

KINDS_MAX: Final = 32
"""Kinds of events in a filter: more than there are."""

FORECASTS_MAX: Final = 720
"""Forecasts of a series in one answer: as many as are kept (edge/home/series_trail.py)."""


class Request(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="verb", kw_only=True
):
    """The fields of every command.  id: unique for ever.  expires_at_ns: it is refused later; 0:
    never expires.  device: the recipient; empty: any.  home: one of the daemon's homes."""

    id: Name
    expires_at_ns: Instant = 0
    device: NameOrEmpty = ""
    home: NameOrEmpty = ""

    @property
    def verb(self) -> str:
        """The name of the command."""
        return str(self.__struct_config__.tag)


class Select(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Selects the facts that match every given field."""

    ids: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=IDS_MAX)] | None = None
    subject: Name | None = None
    stream: Name | None = None
    domain: Name | None = None
    label: Name | None = None
    from_ns: Instant | None = None
    until_ns: Instant | None = None
    recording: Name | None = None

    @property
    def selector(self) -> Selector:
        """The core's selector."""
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name != "ids"}
        return Selector(ids=None if self.ids is None else frozenset(self.ids), **given)


class LabelCommand(Request, frozen=True, tag="label"):
    """Label an observation."""

    observation_id: Name
    label: Name
    domain: NameOrEmpty = ""

    def event(self, _at_ns: int) -> Label:
        """The event for the core."""
        return Label(self.observation_id, self.label, self.domain)


class ManyLabel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One label of `label-many`."""

    observation_id: Name
    label: Name
    domain: NameOrEmpty = ""


class LabelManyCommand(Request, frozen=True, tag="label-many"):
    """Label observations in one step; those that cannot be labelled are named in the answer.
    only_unlabelled: those that have a label by now keep it, and are refused."""

    labels: Annotated[tuple[ManyLabel, ...], msgspec.Meta(min_length=1, max_length=IDS_MAX)]
    only_unlabelled: bool = False


class AgreeingCommand(Request, frozen=True, tag="agreeing"):
    """List the observations that agreed with a label of an action and count as known, as its answer
    counted them."""

    undo_id: Name
    label: Name


class UnlabelCommand(Request, frozen=True, tag="unlabel"):
    """Take back labels: the observations wait for a label again."""

    observation_ids: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=IDS_MAX)]

    def event(self, _at_ns: int) -> Unlabel:
        """The event for the core."""
        return Unlabel(self.observation_ids)


class UndoCommand(Request, frozen=True, tag="undo"):
    """Undo an action.  undo_id: of the answer to its command, or of `actions`."""

    undo_id: Name

    def event(self, at_ns: int) -> Undo:
        """The event for the core."""
        return Undo(self.undo_id, at_ns)


class ActionsCommand(Request, frozen=True, tag="actions"):
    """List the actions of people in the last ten minutes."""


class KeepLabelCommand(Request, frozen=True, kw_only=True, tag="keep-label"):
    """Record that a person has checked a label that looked wrong and keeps it.  kept: false takes
    that back."""

    observation_id: Name
    label: Name
    kept: bool = True


class KeptLabel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One label of `kept-labels`."""

    observation_id: Name
    label: Name


class ColumnsCommand(Request, frozen=True, tag="columns"):
    """List the clusters of unlabelled observations that one label each names."""


class KeptLabelsCommand(Request, frozen=True, tag="kept-labels"):
    """List those of some labels that a person has checked and kept."""

    labels: Annotated[tuple[KeptLabel, ...], msgspec.Meta(max_length=IDS_MAX)]


class RelabelCommand(Request, frozen=True, tag="relabel"):
    """Give the selected facts another label, another domain, or both."""

    select: Select
    label: NameOrEmpty = ""
    domain: NameOrEmpty = ""

    def event(self, _at_ns: int) -> Relabel:
        """The event for the core."""
        return Relabel(self.select.selector, self.label, self.domain)


class UndoMergeCommand(Request, frozen=True, tag="undo-merge"):
    """Undo a merge of domains that the device made by itself."""

    merge_id: Name

    def event(self, _at_ns: int) -> UndoMerge:
        """The event for the core."""
        return UndoMerge(self.merge_id)


class ForgetCommand(Request, frozen=True, tag="forget"):
    """Forget the selected facts.  refit_geometry: fit the geometry again too; null: unless it is
    shared with a fleet.  remove_files: also remove files of the home that hold the facts, such as
    backups; otherwise the receipt names them.  duplicates: what is not learned again, see
    `ForgetRequest`."""

    select: Select
    refit_geometry: bool | None = None
    remove_files: bool = False
    duplicates: DuplicateGuard = "exact"

    def event(self, at_ns: int) -> ForgetRequest:
        """The event for the core; the command's id becomes the receipt's."""
        return ForgetRequest(
            request_id=self.id,
            selector=self.select.selector,
            requested_at_ns=at_ns,
            refit_geometry=self.refit_geometry is not False,
            remove_files=self.remove_files,
            duplicates=self.duplicates,
        )


class ConfirmCommand(Request, frozen=True, tag="confirm"):
    """Answer the question about a lasting alarm.  alarm_id, stream: of the question, one of them is
    enough.  harmless: true puts the stream's level where the stream is; false keeps the alarm."""

    harmless: bool
    alarm_id: NameOrEmpty = ""
    stream: NameOrEmpty = ""

    def event(self, at_ns: int) -> ConfirmAlarm:
        """The event for the core."""
        return ConfirmAlarm(self.alarm_id, self.stream, self.harmless, at_ns)


class GrowCommand(Request, frozen=True, tag="grow"):
    """Search and train an adaptor for a domain now."""

    domain: Name

    def event(self, _at_ns: int) -> GrowRequest:
        """The event for the core."""
        return GrowRequest(self.domain, self.id)


class RollbackCommand(Request, frozen=True, tag="rollback"):
    """Reinstate the previous adaptor of a domain."""

    domain: Name

    def event(self, _at_ns: int) -> Rollback:
        """The event for the core."""
        return Rollback(self.domain, self.id)


class AdaptorsCommand(Request, frozen=True, tag="adaptors"):
    """List the adaptors."""


class CandidatesCommand(Request, frozen=True, tag="candidates"):
    """List the observations that are worth labelling."""


class StatusCommand(Request, frozen=True, tag="status"):
    """Return the status of the daemon."""


class HealthCommand(Request, frozen=True, tag="health"):
    """Return the state of the daemon in short."""


class RebirthCommand(Request, frozen=True, tag="rebirth"):
    """Announce the device again."""


class ReloadCommand(Request, frozen=True, tag="reload"):
    """Read the settings again."""


class PauseCommand(Request, frozen=True, tag="pause"):
    """Stop deciding on observations."""


class ResumeCommand(Request, frozen=True, tag="resume"):
    """Decide on observations again."""


class BundleImportCommand(Request, frozen=True, tag="bundle-import"):
    """Take a bundle on trial.  name: of a file in the home's folder `bundles`."""

    name: Name


class BundleConfirmCommand(Request, frozen=True, tag="bundle-confirm"):
    """Keep the bundle on trial."""


class BundleRevertCommand(Request, frozen=True, tag="bundle-revert"):
    """Restore the state before the bundle on trial."""


class BundleRecordCommand(Request, frozen=True, tag="bundle-record"):
    """Record what a bundle holds that is about to leave the device.  name: of a file in the home's
    folder `bundles`, which is deleted."""

    name: Name


class BundleRemoveCommand(Request, frozen=True, kw_only=True, tag="bundle-remove"):
    """Remove what an imported bundle brought, and its file."""

    publisher: Name
    counter: Annotated[int, msgspec.Meta(ge=1, le=core_limits.COUNT_MAX)]


class ExplainCommand(Request, frozen=True, tag="explain"):
    """Explain a waiting, recent or labelled observation."""

    observation_id: Name


class RateCommand(Request, frozen=True, tag="false-alarm-rate"):
    """Choose the false-alarm rate in the settings file, and read the settings again."""

    rate: Annotated[float, msgspec.Meta(gt=0, lt=0.5)]


class FitGeometryCommand(Request, frozen=True, tag="fit-geometry"):
    """Fit the geometry of a home to its facts, and derive the knowledge again."""


class PolicyCommand(Request, frozen=True, tag="adaptation"):
    """Choose the policy of adaptation in the settings file, and read the settings again."""

    policy: Literal["auto", "off"]


class RawCommand(Request, frozen=True, tag="raw"):
    """Return the raw input of a waiting, recent or labelled observation."""

    observation_id: Name


class ValuesCommand(Request, frozen=True, tag="values"):
    """Return the values of observations: of a vector's columns, or of the features."""

    observation_ids: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=VALUES_MAX)]


class FeedCommand(Request, frozen=True, tag="feed"):
    """Return the status and the newest messages.  since: cursor of the last answer, 0 at first."""

    since: Instant = 0


class HistoryCommand(Request, frozen=True, tag="history"):
    """List what happened, newest first.  before: a number that all are below, 0 for the newest.
    kinds, stream: empty for all."""

    before: Instant = 0
    kinds: Annotated[tuple[Name, ...], msgspec.Meta(max_length=KINDS_MAX)] = ()
    stream: NameOrEmpty = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=EVENTS_LISTED_MAX)] = 100


class GalleryCommand(Request, frozen=True, kw_only=True, tag="gallery"):
    """List observations in pages.  state: those that wait for a label, recent ones, or labelled
    ones.  order: by the value of a label, by time, or similar ones together.  stream, guess: only
    these; the guess of a labelled observation is its label."""

    offset: Annotated[int, msgspec.Meta(ge=0, le=core_limits.COUNT_MAX)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] = 100
    order: Literal["value", "newest", "similar"] = "value"
    stream: NameOrEmpty = ""
    guess: NameOrEmpty = ""
    state: Literal["waiting", "recent", "labelled"] = "waiting"


class SeriesCommand(Request, frozen=True, tag="series"):
    """Return the newest samples and forecasts of a series.  forecasts: how many."""

    stream: Name
    forecasts: Annotated[int, msgspec.Meta(ge=1, le=FORECASTS_MAX)] = 60


class ForgetPreviewCommand(Request, frozen=True, tag="forget-preview"):
    """Return the effect of a forget request; changes nothing."""

    select: Select


class ReceiptsCommand(Request, frozen=True, tag="receipts"):
    """List the receipts of forget requests, newest first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] = 100


class KnowledgeCommand(Request, frozen=True, tag="knowledge"):
    """Return the knowledge of the home: concepts, domains, adaptors, merges, geometry."""


class FleetCommand(Request, frozen=True, tag="fleet"):
    """Return what this device knows of its fleet, as a member and as an aggregator.  state, find:
    of the aggregator's children that are listed, and a part of their names; empty for all.  offset:
    so many of them before."""

    state: Literal["", "summed", "withdrawn", "refused", "dropped"] = ""
    find: NameOrEmpty = ""
    offset: Annotated[int, msgspec.Meta(ge=0, le=core_limits.COUNT_MAX)] = 0


COMMANDS: Final[dict[str, type[Request]]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        LabelCommand,
        RelabelCommand,
        UndoMergeCommand,
        ForgetCommand,
        ConfirmCommand,
        GrowCommand,
        RollbackCommand,
        AdaptorsCommand,
        CandidatesCommand,
        StatusCommand,
        HealthCommand,
        RebirthCommand,
        ReloadCommand,
        PauseCommand,
        ResumeCommand,
        BundleImportCommand,
        BundleConfirmCommand,
        BundleRevertCommand,
    )
}


LOCAL_COMMANDS: Final[dict[str, type[Request]]] = COMMANDS | {
    str(kind.__struct_config__.tag): kind
    for kind in (
        ExplainCommand,
        RawCommand,
        RateCommand,
        FitGeometryCommand,
        PolicyCommand,
        ValuesCommand,
        FeedCommand,
        HistoryCommand,
        GalleryCommand,
        ColumnsCommand,
        SeriesCommand,
        ForgetPreviewCommand,
        ReceiptsCommand,
        KnowledgeCommand,
        FleetCommand,
        LabelManyCommand,
        AgreeingCommand,
        UnlabelCommand,
        UndoCommand,
        ActionsCommand,
        KeepLabelCommand,
        KeptLabelsCommand,
        BundleRecordCommand,
        BundleRemoveCommand,
    )
}
"""Commands that the control socket accepts.  Those that return measurements, and those of a person
at a screen, stay on the machine: they are refused over MQTT, whatever [commands] enables."""


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signed command.  payload: the command's JSON as text, exactly as it was signed; key: the
    signer's name in [commands.keys]; signature: base64 of 64 bytes."""

    payload: str
    key: Name
    signature: Annotated[str, msgspec.Meta(max_length=100)]


def fields_of(kind: type[Any]) -> list[str]:
    """Return the field names that a struct's JSON may have, with those of its selector."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    if "select" in names:
        names += [field.encode_name for field in msgspec.structs.fields(Select)]
    return ["verb", *names]
