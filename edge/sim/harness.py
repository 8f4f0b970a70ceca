"""One run: applies the actions of a world to a simulated device, checks and records them."""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

from ..core import (
    AlarmQuestion,
    Config,
    Decision,
    DriftAlarm,
    Enrol,
    Event,
    FeatureModel,
    FitGeometry,
    ForgetRequest,
    GrowthFinished,
    GrowthReport,
    Label,
    Observation,
    Rejected,
    Tick,
)
from ..extras import missing_torch
from . import checkers, metrics
from .device import SimulatedDevice, facts_of, resident_bytes
from .evaluation import Evaluation, Truth, without_adaptors
from .faults import FaultPlan, disturb_events, seeded_faults
from .recording import DecisionStep, MarkKind, RunRecording, TimelineMark, step_of
from .replay import Encoded, ReplayModel
from .scenarios import Scenario
from .simulated_worker import (
    Grower,
    SimulatedWorker,
    find_grower,
    sample_search,
    without_acceptance,
)
from .world import (
    SECOND_NS,
    START_NS,
    Action,
    DelayedLabel,
    EnrolSamples,
    EvaluateNow,
    ForgetAction,
    InjectedFault,
    ObserveSample,
    PhaseStart,
    World,
)

Progress = Callable[[str, int, int], None]
"""Called with the current activity, the units done, and the units in all."""

MIB: Final = 1024 * 1024
"""Bytes in a mebibyte."""
COUNTED_BY_DEVICE: Final = ("labels_taken", "crash", "disk_full")
COUNTED_BY_WORLD: Final = (
    "labels_wrong",
    "rejected",
    "lost",
    "doubled",
    "reordered",
    "clock_jump",
    "checks",
)
CLASSES_NAMED_MAX: Final = 6
"""Forgotten classes that a report names; the rest are counted.  Chosen by hand; effect not
measured."""


def run_scenario(
    scenario: Scenario,
    world: World,
    model: FeatureModel,
    seed: int,
    *,
    encoded: Mapping[bytes, Encoded] | None = None,
    fault_plan: FaultPlan | None = None,
    progress: Progress | None = None,
    grow: Grower | None = None,
) -> RunRecording:
    """Run a scenario once on a store in a temporary folder and record it.

    world: of this scenario and seed.  encoded: cached features by payload key.  fault_plan:
    replaces the scenario's own device faults.  grow: replaces `edge.growth.grow_adaptor`, which
    runs in this process where torch is installed.  Raises BrokenPromiseError if a check fails.
    """
    with tempfile.TemporaryDirectory(prefix="auricle-sim-") as folder:
        fault_plan = fault_plan or seeded_faults(scenario.faults, seed)
        given, grow = grow, (grow or find_grower()) if scenario.device.growth else None
        if grow is not None and scenario.device.acceptance == "none":
            grow = without_acceptance(grow)
        worker = SimulatedWorker(grow, scenario.device.growth_delay, fault_plan)
        replay = ReplayModel(model, encoded or {})
        run = _Run(
            scenario=scenario,
            world=world,
            model=replay,
            seed=seed,
            folder=Path(folder),
            fault_plan=fault_plan,
            worker=worker,
        )
        try:
            actions = tuple(disturb_events(world.actions, scenario.faults, seed))
            for at, action in enumerate(actions):
                run.apply(action)
                if progress is not None:
                    progress("simulating", at + 1, len(actions))
            if given is None:
                worker.extend_largest(sample_search)
            return run.recording()
        finally:
            run.device.close()


class _Run:
    def __init__(
        self,
        scenario: Scenario,
        world: World,
        model: ReplayModel,
        seed: int,
        folder: Path,
        fault_plan: FaultPlan,
        worker: SimulatedWorker,
    ) -> None:
        self._began = perf_counter()
        self._scenario = scenario
        self._world = world
        self._model = model
        self._seed = seed
        settings = scenario.device
        self._config = Config(
            seed=seed,
            false_alarm_rate=settings.false_alarm_rate,
            window=settings.window,
            facts_per_concept=settings.facts_per_concept,
            keep=settings.keep,
            growth=worker.grow is not None,
            adaptation=settings.adaptation,
        )
        self._worker = worker
        self._regrown = False
        self.device = SimulatedDevice(
            folder=folder,
            model=model,
            config=self._config,
            fault_plan=fault_plan,
            worker=worker,
            on_restart=self._restarted,
        )
        self._truths: dict[str, Truth] = {}
        self._steps: list[DecisionStep] = []
        self._marks: list[TimelineMark] = []
        self._matrix: list[list[float | None]] = []
        self._evaluation = Evaluation(world, model, self._config)
        self._checkpoints: list[str] = []
        self._observation_us: list[float] = []
        self._counts: Counter[str] = Counter()
        self._learned_at: tuple[int, Counter[Truth]] = (0, Counter())
        self._peak_bytes = 0
        if settings.growth and worker.grow is None:
            self._mark("growth", missing_torch())
        self._handlers: dict[type, Callable[[Any], None]] = {
            PhaseStart: self._start_phase,
            EnrolSamples: self._enrol,
            ObserveSample: self._observe,
            DelayedLabel: self._label,
            ForgetAction: self._forget,
            EvaluateNow: self._evaluate,
            InjectedFault: self._count_fault,
        }

    def apply(self, action: Action) -> None:
        """Apply one action."""
        self._worker.now = len(self._steps)
        self._deliver_result()
        self._handlers[type(action)](action)
        self._peak_bytes = max(self._peak_bytes, resident_bytes() or 0)

    # --- actions --------------------------------------------------------------------------------

    def _start_phase(self, action: PhaseStart) -> None:
        last = next((m for m in reversed(self._marks) if m.kind == "domain"), None)
        if last is None or last.text != action.domain:
            self._mark("domain", action.domain)
        self._tick()

    def _enrol(self, action: EnrolSamples) -> None:
        rows = [
            (
                f"enrol-{action.phase:03}-{at:06}",
                sample.label,
                self._model.encode(sample.read()).values.tobytes(),
            )
            for at, sample in enumerate(action.samples)
        ]
        domain = action.samples[0].domain
        for (fact_id, label, _), sample in zip(rows, action.samples, strict=True):
            self._truths[fact_id] = (sample.domain, label)
        captured_at_ns = START_NS + len(self._steps) * SECOND_NS - SECOND_NS
        self._feed(Enrol(facts_of(domain, rows, captured_at_ns)))
        if action.fit_geometry:
            self._feed(FitGeometry())
        self._mark("enrolled", f"{len(rows)} examples of {domain}")
        self._tick()

    def _observe(self, action: ObserveSample) -> None:
        sample = action.sample
        truth = (sample.domain, sample.label)
        self._truths[action.id] = truth
        novel = self._novel(truth)
        handled, stored = len(self.device.handle_us), len(self.device.store_us)
        encoded = len(self._model.encode_us)
        messages = self._feed(
            Observation(
                stream=action.stream,
                sequence=action.sequence,
                captured_at_ns=action.captured_at_ns,
                payload=sample.read(),
                id=action.id,
            )
        )
        spent = (
            self.device.handle_us[handled:]
            + self.device.store_us[stored:]
            + self._model.encode_us[encoded:]
        )
        self._observation_us.append(sum(spent))
        for message in messages:
            if isinstance(message, Decision):
                self._steps.append(step_of(len(self._steps), message, truth, novel=novel))
            elif isinstance(message, DriftAlarm):
                self._alarm(message)
            elif isinstance(message, AlarmQuestion):
                self._mark("question", f"{message.stream}, nearest to {message.domain}")

    def _alarm(self, alarm: DriftAlarm) -> None:
        kind: MarkKind = "alarm" if alarm.raised else "cleared"
        what = "opens" if alarm.raised else "returns to"
        # The alarm belongs to the latest observation.
        self._marks.append(
            TimelineMark(
                max(0, len(self._steps) - 1), kind, f"{alarm.stream} {what} {alarm.domain}"
            )
        )

    def _label(self, action: DelayedLabel) -> None:
        before = self.device.journal.counts["labels_taken"]
        self._feed(Label(action.id, action.label, action.domain))
        if self.device.journal.counts["labels_taken"] > before:
            wrong = ", wrongly" if action.wrong else ""
            self._counts["labels_wrong"] += action.wrong
            self._mark("labels", f"{action.id} is {action.label}{wrong}")
            self._tick()

    def _tick(self) -> None:
        if self._config.growth:
            self._feed(Tick())

    def _deliver_result(self, *, wait: bool = False) -> bool:
        """Deliver the result of a growth if one is due; returns whether one was."""
        job = self._worker.job
        result = self._worker.collect(wait=wait)
        if job is None or result is None:
            return False
        self._feed(GrowthFinished(result))
        kept = self.device.store.adaptors().get(job.domain, ())
        if result.record is not None and kept and kept[0].digest == result.record.digest:
            checkers.check_budget(self.device.runtime, result.record)
            if not self._regrown and self._worker.grow is not None:
                checkers.check_regrowth(self._worker.grow, job, result.record)
                self._regrown = True
        self._tick()
        return True

    def _forget(self, action: ForgetAction) -> None:
        now_ns = START_NS + len(self._steps) * SECOND_NS
        request = ForgetRequest(
            request_id=action.request_id,
            selector=action.selector,
            requested_at_ns=now_ns,
            refit_geometry=action.refit_geometry,
        )
        before = len(self.device.journal.receipts)
        self._feed(request)
        for receipt in self.device.journal.receipts[before:]:
            self._mark("forget", f"{receipt.request_id}: {receipt.facts_forgotten} facts")
        self._check()
        self._tick()

    def _evaluate(self, action: EvaluateNow) -> None:
        while action.last and self._deliver_result(wait=True):
            pass
        self._check()
        self._evaluation.run(self.device.runtime.knowledge)
        self._matrix.append(self._evaluation.accuracies(self._forgotten()))
        self._checkpoints.append(action.name)

    def _count_fault(self, action: InjectedFault) -> None:
        self._counts[action.kind] += 1
        if action.kind == "clock_jump":
            self._mark("fault", action.text)

    def _restarted(self, reason: str) -> None:
        kind: MarkKind = "crash" if reason == "crash" else "fault"
        self._mark(kind, reason.replace("_", " "))
        self._check()

    # --- checks ---------------------------------------------------------------------------------

    def _feed(self, event: Event) -> tuple[object, ...]:
        messages = self.device.feed(event)
        for message in messages:
            if isinstance(message, Rejected):
                self._counts["rejected"] += 1
                self._mark("rejected", message.reason)
            elif isinstance(message, GrowthReport):
                self._worker.record_report(message)
                kind: MarkKind = "adaptor" if message.state == "serving" else "growth"
                self._mark(kind, f"{message.domain}: {message.state}, {message.detail}")
        if not isinstance(event, Observation):
            checkers.check_bounds(self.device.runtime, self.device.store)
        return messages

    def _check(self) -> None:
        journal, store = self.device.journal, self.device.store
        checkers.check_ledger(store, journal.mirror)
        checkers.check_knowledge(self.device.runtime, store, self._model.card.fingerprint)
        checkers.check_acknowledged(journal.acknowledged, store)
        kept = (fact.features for fact in journal.mirror.facts())
        checkers.check_forgotten(journal.erased, store, kept)
        checkers.check_adaptors(store, set(journal.erased))
        self._counts["checks"] += 1

    def _novel(self, truth: Truth) -> bool | None:
        """Return whether a truth is new to the ledger; None while its domain has too few facts."""
        learned = self._learned()
        if not learned[truth]:
            return True
        needed = ceil(1 / self._config.false_alarm_rate) - 1
        found = sum(count for (domain, _), count in learned.items() if domain == truth[0])
        return False if found >= needed else None

    def _learned(self) -> Counter[Truth]:
        """Count the ledger's facts by true domain and label."""
        journal = self.device.journal
        version = journal.counts["confirmed"]
        if self._learned_at[0] != version:
            facts = Counter(self._truths[fact.id] for fact in journal.mirror.facts())
            self._learned_at = (version, facts)
        return self._learned_at[1]

    def _left_out(self) -> str:
        gone = sorted("/".join(truth) for truth in self._forgotten())
        more = f" and {len(gone) - CLASSES_NAMED_MAX} more" if len(gone) > CLASSES_NAMED_MAX else ""
        named = ", ".join(gone[:CLASSES_NAMED_MAX]) + more
        return f"{named}, from the forget request on" if gone else ""

    def _forgotten(self) -> set[Truth]:
        journal = self.device.journal
        erased = {self._truths[fact_id] for fact_id, features in journal.erased.items() if features}
        return erased - set(self._learned())

    def _mark(self, kind: MarkKind, text: str) -> None:
        self._marks.append(TimelineMark(len(self._steps), kind, text))

    # --- the result -----------------------------------------------------------------------------

    def recording(self) -> RunRecording:
        """Return the recording of the run."""
        world, device = self._world, self.device
        chance = 1 / len(world.labels)
        figures = metrics.measure_steps(self._steps, self._marks, self._config.window)
        figures |= metrics.measure_matrix(np.array(self._matrix, float), world.taught, chance)
        facts = device.journal.mirror.facts()
        known = device.runtime.knowledge
        routing = self._evaluation.routing(known, self._truths, facts)
        figures |= metrics.measure_growth(self._worker.episodes, routing)
        adapted = device.store.adaptors()
        sizes = [known.adaptor(name).nbytes for name in adapted if name in known.domains]
        figures["adaptor_bytes"] = float(max(sizes)) if sizes else None
        figures["average_accuracy_heads"] = self._heads_accuracy() if adapted else None
        figures |= {name: float(count) for name, count in self._counts_by_name().items()}
        written = device.bytes_written
        return RunRecording(
            title=self._scenario.title,
            seed=self._seed,
            steps=tuple(self._steps),
            marks=tuple(sorted(self._marks, key=lambda mark: mark.index)),
            domains=world.domains,
            checkpoints=tuple(self._checkpoints),
            accuracy_matrix=tuple(tuple(row) for row in self._matrix),
            receipts=tuple(device.journal.receipts),
            timings=(
                metrics.time_stage("encode", self._model.encode_us),
                metrics.time_stage("handle", device.handle_us),
                metrics.time_stage("store", device.store_us),
                metrics.time_stage("observation", self._observation_us),
            ),
            metrics=figures,
            costs={
                "peak_memory_mib": self._peak_bytes / MIB if self._peak_bytes else None,
                "bytes_written": None if written is None else float(written),
                "wall_s": perf_counter() - self._began,
            },
            rate=self._config.false_alarm_rate,
            digest=device.runtime.digest(),
            episodes=tuple(self._worker.episodes),
            routing=routing,
            window=self._config.window,
            left_out=self._left_out(),
        )

    def _heads_accuracy(self) -> float | None:
        """Return the final average accuracy without adaptors."""
        facts = self.device.journal.mirror.facts()
        self._evaluation.run(without_adaptors(self.device.runtime.knowledge, facts))
        row = np.array([self._evaluation.accuracies(self._forgotten())], float)
        return metrics.average_accuracy(row, self._world.taught)

    def _counts_by_name(self) -> dict[str, int]:
        journal = self.device.journal
        counts = {name: journal.counts[name] for name in COUNTED_BY_DEVICE}
        counts |= {name: self._counts[name] for name in COUNTED_BY_WORLD}
        counts |= self._worker.counts
        counts["facts"] = len(journal.mirror.facts())
        counts["facts_forgotten"] = sum(r.facts_forgotten for r in journal.receipts)
        return counts
