"""`auricle audit`: examines a forget request, before it on a copy, or after it from its receipt.

Everything happens on a private copy of the home, which is removed at the end; nothing that the
audit reads is kept.  The report names no forgotten id, subject or content.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..core import (
    ConfigError,
    Fact,
    FactBatch,
    ForgetRequest,
    Receipt,
    Selector,
    Tick,
    accepted,
    stack_facts,
)
from ..core.adaptors import FittedHead, Spans
from ..home import OUTBOX, Home
from ..outbox import open_outbox
from ..storage import Store
from .adaptors import Retrained, adaptor_findings, retrain
from .answers import AuditedModel, freeze
from .copying import copied_home
from .exactness import compare_geometry, compare_parts
from .file_traces import receipt_files, search_items, search_names
from .findings import AuditReport, Figure, Finding, counted, not_covered
from .generalisation import generalisation_finding
from .membership import attack_membership, membership_findings
from .muse import answer_muse
from .parameters import parametric_finding
from .probes import probe
from .receipt_parts import receipt_findings, remaining_finding
from .rehearsal import HomeState, Rehearsal, make_twin, read_state
from .relearning import relearning_finding, squared_loss
from .requests import SEED, Progress, rehearse_requests
from .resending import resend_labelled, resend_unlabelled
from .series import keep_series, receipt_finding, rehearsed_finding
from .shadows import LikeHome, Pool, Shadows, make_pool, margins_unseen, train_shadows
from .utility import utility_finding

BEAT_S: Final = 0.05
"""Seconds between looks at the worker: short against half a second of training."""

LIMITS: Final = (
    not_covered(
        "memory",
        "Memory of a running daemon",
        "The audit reads files. What a daemon holds in memory (windows, recent observations) is"
        " cleared by the request itself.",
        "Restart the daemon to be sure.",
    ),
    not_covered(
        "outside",
        "Copies outside the home",
        "Backups, exports and bundles elsewhere, messages that brokers and other programs have"
        " received, and files that people saved cannot be seen from here.",
        "Go through the receipt's list, and delete them where they lie.",
    ),
    not_covered(
        "below_files",
        "Storage below the files",
        "Flash wear-levelling and journals of the file system may keep overwritten blocks.",
        "Encrypt the disk, or destroy it at its end of life.",
    ),
    not_covered(
        "encoder",
        "The encoder",
        "The network and its quantiser are frozen. If forgotten items were among their calibration"
        " data, they keep its extremes.",
        "Calibrate the encoder again without these items.",
    ),
)
"""What no audit of a home can examine."""


@dataclass(slots=True, kw_only=True, eq=False)
class AuditCase:
    """Everything that the attacks need.

    home: the copy, after the request.  state: what it holds.  forgotten: the items, if they are
    known.  served, expected: the answers of the home and of its twin; before: those before the
    request, if known.  retrained: the serving adaptors, trained again.
    """

    home: Home
    state: HomeState
    twin: Rehearsal
    forgotten: tuple[Fact, ...]
    served: AuditedModel
    expected: AuditedModel
    before: AuditedModel | None
    retrained: tuple[Retrained, ...]
    tick: Progress
    findings: list[Finding] = field(default_factory=list)

    @property
    def spans(self) -> Spans:
        """The columns of the encoder's taps."""
        return tuple((part.start, part.stop) for part in self.home.model.card.slices)

    @property
    def models(self) -> tuple[AuditedModel, AuditedModel]:
        """The answers of the home and of its twin."""
        return self.served, self.expected


def rehearse(folder: Path, selector: Selector, tick: Progress) -> AuditReport:
    """Audit a forget request before it is made: carry it out on a copy of the home.

    Raises ConfigError if no fact matches.  Cost: within 60 s for 1,000 facts of 2,064 columns.
    """
    begun = time.perf_counter()
    with copied_home(folder) as (copy, settings):
        tick("forgetting on a copy", 0, 1)
        with Home(copy, settings=settings) as home:
            ids = frozenset(home.store.select(selector))
            kept_series = keep_series(home.runtime.series)
            matched = home.runtime.series.preview(selector)
            if not ids and not matched:
                raise ConfigError(
                    "auditing: no fact and no sample of a series matches",
                    "`auricle inspect` lists domains and labels",
                )
            state = read_state(home, fits=not home.shares_geometry)
            forgotten = tuple(state.facts[key] for key in sorted(ids))
            domains = _domains((*forgotten, *state.facts.values()))
            before = freeze(home.runtime.knowledge, domains)
            geometry = home.runtime.knowledge.geometry
            receipt, seconds = _forget(home, selector)
            _clear_outbox(copy, home, ids, receipt)
            _finish_adaptors(home, tick)
        with Home(copy, settings=settings) as home:
            left = read_state(home, fits=not home.shares_geometry)
            case = _case(home, left, forgotten, before, tick)
            said = msgspec.to_builtins(receipt)
            expected = {key: one for key, one in state.facts.items() if key not in ids}
            case.findings.append(remaining_finding(expected, left.facts, said))
            case.findings += (_cost(receipt, seconds), *receipt_findings(said))
            if matched:
                case.findings.append(
                    rehearsed_finding(home.runtime.series, kept_series, selector, matched)
                )
            kept, held = case.state.facts.values(), receipt_files(receipt.files)
            tick("searching the files", 0, 1)
            case.findings.append(search_items(copy, forgotten, kept, geometry, held))
            _examine(case, copy, held)
            return _report(case, "rehearsal", "", len(forgotten), begun)


def audit_receipt(
    folder: Path, request_id: str, items: Callable[[Home], Sequence[Fact]] | None, tick: Progress
) -> AuditReport:
    """Audit a completed forget request.

    request_id: of its receipt; "" for the newest.  items: reads the forgotten items that the person
    supplies again, with the home's encoder; None without them: attacks on answers are then left
    out.  Raises ConfigError without such a receipt.
    """
    begun = time.perf_counter()
    with copied_home(folder) as (copy, settings), ExitStack() as opened:
        with Store.open(copy / settings.knowledge.file) as store:
            waiting = len(store.pending_forgets())
        # Opening the copy completes what waits.
        home = opened.enter_context(Home(copy, settings=settings))
        receipt = _find_receipt(home, request_id)
        given = tuple(items(home)) if items is not None else ()
        whole = read_state(home, fits=not home.shares_geometry)
        left = frozenset(filter(home.store.was_forgotten, whole.facts))
        present = {fact.id for fact in given} & whole.facts.keys() - left
        if present:
            raise ConfigError(
                f"auditing: {len(present)} of the supplied items are facts of the home",
                "supply only the forgotten items",
            )
        state = without_facts(whole, left)
        case = _case(home, state, given, None, tick)
        case.findings.append(_left_finding(left))
        case.findings += (_waiting_finding(waiting),) if waiting else ()
        held = receipt_files(receipt.get("files", ()))
        if given:
            kept = state.facts.values()
            geometry = home.runtime.knowledge.geometry
            # The home itself: a copy of a database may lack what its gaps hold.
            case.findings.append(search_items(folder, given, kept, geometry, held))
        case.findings.append(_receipt_digest(home, receipt))
        case.findings += receipt_findings(receipt)
        if receipt.get("series"):
            series, forgot = home.runtime.series, home.store.forgot_sample
            case.findings.append(receipt_finding(series, forgot, receipt["series"]))
        _examine(case, copy, held)
        count = int(receipt["facts_forgotten"])
        return _report(case, "receipt", str(receipt["request_id"]), count, begun)


def without_facts(state: HomeState, gone: frozenset[str]) -> HomeState:
    """Return a state without some facts."""
    return replace(state, facts={key: one for key, one in state.facts.items() if key not in gone})


def _left_finding(left: frozenset[str]) -> Finding:
    return Finding(
        key="forgotten_ids",
        title="Forgotten facts in the ledger",
        evidence="proven",
        outcome="fails" if left else "holds",
        text=f"{counted(len(left), 'fact')} of the ledger were forgotten before."
        if left
        else "No fact of the ledger was forgotten before.",
        todo="Run `auricle verify`, and forget them again." if left else "",
    )


def _waiting_finding(waiting: int) -> Finding:
    return not_covered(
        "pending",
        "Requests that are not complete",
        f"{counted(waiting, 'request')} wait for what is derived again. The audit completed them on"
        " its copy; the home has excluded their facts, and has not issued their receipts.",
        "Wait for the receipts, or start the daemon; then audit again.",
    )


def _forget(home: Home, selector: Selector) -> tuple[Receipt, float]:
    begun = time.perf_counter()
    at_ns = time.time_ns()
    event = ForgetRequest(
        request_id=f"audit-{at_ns}",
        selector=selector,
        requested_at_ns=at_ns,
        refit_geometry=not home.shares_geometry,
    )
    receipts = [one for one in accepted(home.feed(event)) if isinstance(one, Receipt)]
    return receipts[-1], time.perf_counter() - begun


def _clear_outbox(copy: Path, home: Home, ids: frozenset[str], receipt: Receipt) -> None:
    """Erase waiting messages about the facts, as the daemon does."""
    path = copy / OUTBOX
    if path.exists():
        outbox = open_outbox(path, home.settings.outbox)
        names = home.store.name_pattern(receipt.selector)
        outbox.forget(ids, lambda one: bool(one.sequence and names and names.search(one.body)))
        outbox.close()


def _finish_adaptors(home: Home, tick: Progress) -> None:
    """Wait until the adaptors that the request has ended are made again, as in a daemon."""
    total = len(home.store.pending_adaptors())
    for _ in range(total):
        left = len(home.store.pending_adaptors())
        if not left:
            return
        tick("making adaptors again", total - left, total)
        home.feed(Tick())
        while home.growing:
            home.poll_growth()
            time.sleep(BEAT_S)


def _case(
    home: Home,
    state: HomeState,
    forgotten: tuple[Fact, ...],
    before: AuditedModel | None,
    tick: Progress,
) -> AuditCase:
    """Derive the twin, and freeze the answers of both."""
    tick("deriving a twin", 0, 1)
    shared = home.shares_geometry
    twin = make_twin(state, frozenset())
    geometry = compare_geometry(home.store, twin, shared=shared, rehearsed=before is not None)
    if geometry.outcome != "holds":
        # Compare the rest under the home's geometry.
        state = replace(state, geometry=home.store.geometry(), fits=False)
        twin = make_twin(state, frozenset())
    spans = tuple((part.start, part.stop) for part in home.model.card.slices)
    retrained = retrain(home.store, state, spans)
    if retrained:
        twin = make_twin(state, frozenset(), (one.again for one in retrained))
    domains = _domains((*forgotten, *state.facts.values()))
    return AuditCase(
        home=home,
        state=state,
        twin=twin,
        forgotten=forgotten,
        served=freeze(home.runtime.knowledge, domains),
        expected=freeze(twin.runtime.knowledge, domains),
        before=before,
        retrained=retrained,
        tick=tick,
        findings=[geometry],
    )


def _domains(facts: Sequence[Fact]) -> list[str]:
    """Return the domains of facts, in the order of their first fact."""
    return list(dict.fromkeys(fact.domain for fact in facts))


def _examine(case: AuditCase, folder: Path, held: Mapping[str, str]) -> None:
    """Run all parts; the one that changes the copy comes last.  held: files that the receipt names,
    with what to do."""
    home, twin = case.home, case.twin
    ids = frozenset(fact.id for fact in case.forgotten)
    case.findings += compare_parts(home.store, home.runtime, twin, case.models)
    case.findings += adaptor_findings(home.store, case.retrained, ids)
    case.findings.append(parametric_finding(*case.models, case.before))
    case.findings.append(search_names(home.store, folder, held))
    retained = tuple(case.state.facts.values())
    rows = stack_facts(retained)
    pool = make_pool(stack_facts(case.forgotten), rows)
    heads = {name for name, one in case.expected.adaptors.items() if isinstance(one, FittedHead)}
    records = {one.record.domain: one.record for one in case.retrained}
    solve = LikeHome(records, case.spans, heads)
    unseen = margins_unseen(pool, solve)
    case.findings.append(utility_finding(case.models, case.before, pool.retained_rows, unseen))
    shadows = train_shadows(
        pool, solve, SEED, lambda done, total: case.tick("training shadow models", done, total)
    )
    if case.forgotten:
        _attack(case, pool, shadows, unseen, rows)
        found = generalisation_finding(case.state, case.forgotten, retained)
        case.findings += (found,) if found is not None else ()
    else:
        case.findings.append(_without_items())
    case.findings += rehearse_requests(case.state, pool, shadows, len(case.forgotten), case.tick)
    if case.forgotten:
        case.findings.append(
            resend_unlabelled(home.feed, case.twin.feed, stack_facts(case.forgotten))
        )
        case.findings += resend_labelled(home.feed, case.forgotten)
    case.findings += LIMITS


def _attack(
    case: AuditCase, pool: Pool, shadows: Shadows, unseen: NDArray[np.float64], retained: FactBatch
) -> None:
    """Attack the answers on the forgotten items."""
    rows = pool.forgotten_rows
    if len(unseen):
        result = attack_membership(pool, shadows, case.models, unseen, SEED)
        case.findings += membership_findings(result, len(rows))
    before = squared_loss(case.before, rows) if case.before is not None else 0.0
    case.findings.append(relearning_finding(*case.models, rows, before))
    case.findings += probe(case.models, rows, retained, SEED)


def _without_items() -> Finding:
    return not_covered(
        "attacks",
        "Attacks on answers about the forgotten items",
        "Membership inference, relearn time, probes, generalisation and re-sending need the"
        " forgotten items, and a home keeps none.",
        "Supply them with --items, or audit before the request.",
    )


def _cost(receipt: Receipt, seconds: float) -> Finding:
    return Finding(
        key="cost",
        title="Cost of the request",
        evidence="tested",
        outcome="holds",
        text=f"Forgetting {counted(receipt.facts_forgotten, 'fact')} on the copy took"
        f" {seconds:.2f} s.",
        figures=(Figure(name="duration", value=seconds, unit="s"),),
    )


def _find_receipt(home: Home, request_id: str) -> dict[str, Any]:
    receipts = home.store.receipts()
    found = [one for one in receipts if request_id in ("", one["request_id"])]
    if not found:
        raise ConfigError(
            f"auditing: there is no receipt {request_id}".rstrip(),
            "`auricle inspect` lists the receipts; select facts to audit before a request",
        )
    return found[-1]


def _receipt_digest(home: Home, receipt: dict[str, Any]) -> Finding:
    stated = home.store.key_digest(receipt["request_id"], home.runtime.digest())
    same = receipt["digest_after"] == stated
    newest = home.store.receipts()[-1]["request_id"] == receipt["request_id"]
    return Finding(
        key="receipt_digest",
        title="Digest of the receipt",
        evidence="proven" if same else "not covered",
        outcome="holds" if same else "open",
        text="The home's knowledge is the one that the receipt names."
        if same
        else "Facts were learned or forgotten since this receipt: its digest is that of an earlier"
        " state."
        if not newest
        else "The home's knowledge is not the one that the receipt names: facts were learned or"
        " corrected since, or the geometry was fitted again.",
    )


def _report(
    case: AuditCase, mode: Any, request_id: str, forgotten: int, begun: float
) -> AuditReport:
    findings = tuple(case.findings)
    return AuditReport(
        mode=mode,
        request_id=request_id,
        items=bool(case.forgotten),
        forgotten=forgotten,
        retained=len(case.state.facts),
        at_ns=time.time_ns(),
        seconds=time.perf_counter() - begun,
        findings=findings,
        muse=answer_muse(findings),
    )
