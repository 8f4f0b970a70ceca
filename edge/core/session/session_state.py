"""Session state: everything about the current streams that is not derived from the ledger.

Label buffer, streams, novel domains and served accuracy.  A crash may lose all of it; the verdict,
route and answer of the next observation do not depend on it.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

import hdc

from ..config import Config
from ..facts import Fact, Selector
from ..knowledge import Knowledge
from .label_buffer import LabelBuffer, ServedAccuracy
from .novel_domains import NovelDomains, ReferenceModel
from .stream import NOWHERE, SampleAssessment, SampleOrigin, StreamStates, apply_route


class SessionState:
    """Label buffer, streams, novel domains and served accuracy of one runtime.

    config: of the runtime.  version: counts changes of knowledge; call `knowledge_changed` after
    each.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.label_buffer = LabelBuffer()
        self.streams = StreamStates(config.window)
        self.novel_domains = NovelDomains()
        self.served_accuracy = ServedAccuracy()
        self._merges: list[tuple[str, str]] = []
        self.version = 0
        self._promoted_version = 0
        self._novel_names: frozenset[str] = frozenset()

    def reference_model(self, known: Knowledge) -> ReferenceModel:
        """Return the model that observations are compared with; promotes novel domains first."""
        if self._promoted_version != self.version:
            self.novel_domains.promote(known, self._config)
            self._promoted_version = self.version
        if self._novel_names or len(self.novel_domains):
            names = self.novel_domains.names
            if self._novel_names - names:
                # Windows that refer to a dropped novel domain must be assessed again.
                self.version += 1
            self._novel_names = names
        return self.novel_domains.reference_model(known, self.version)

    def assess(
        self,
        key: str,
        features: NDArray[np.uint8],
        known: Knowledge,
        reference: ReferenceModel,
        origin: SampleOrigin = NOWHERE,
        level: hdc.LevelOf | None = None,
    ) -> SampleAssessment:
        """Compare one observation with the learned domains, and with the novel ones included.

        features: uint8 [width].  level: of its stream's scores; by default that of enrolment.
        """
        rate, calibration = self._config.false_alarm_rate, known.calibration()
        learned, every = reference.compare(features, known)
        verdict = placement = hdc.decide(learned, known.memory, calibration, rate, level)
        novelties = learned_novelties = learned.nearest()
        if every is not learned:
            placement = hdc.decide(every, reference.memory, reference.calibration, rate)
            novelties = every.nearest()
            if level is not None and placement.domain == verdict.domain:
                placement = hdc.at_level(placement, calibration, level, rate)
        return SampleAssessment(
            key=key,
            codes=every.codes,
            verdict=verdict,
            placement=placement,
            novelties=apply_route(novelties, origin.route),
            learned_novelties=learned_novelties,
            origin=origin,
            compared=every,
        )

    def assess_again(
        self, kept: Sequence[SampleAssessment], known: Knowledge, reference: ReferenceModel
    ) -> list[SampleAssessment]:
        """Assess observations again, after knowledge or novel domains have changed."""
        if not kept:
            return []
        keys, origins = [one.key for one in kept], [one.origin for one in kept]
        codes = hdc.Codes.concat([one.codes for one in kept])
        return self.assess_batch(keys, codes, known, reference, origins)

    def assess_batch(
        self,
        keys: Sequence[str],
        codes: hdc.Codes,
        known: Knowledge,
        reference: ReferenceModel,
        origins: Sequence[SampleOrigin],
    ) -> list[SampleAssessment]:
        """`assess` for several observations in one pass."""
        rate, calibration = self._config.false_alarm_rate, known.calibration()
        learned = hdc.detect_each(codes, known.memory, calibration, rate)
        every = learned
        if reference.learned is not None:
            every = hdc.detect_each(codes, reference.memory, reference.calibration, rate)
        made = []
        for key, (own, verdict), (whole, placement), origin in zip(
            keys, learned, every, origins, strict=True
        ):
            learned_novelties = own.nearest()
            novelties = learned_novelties if whole is own else whole.nearest()
            made.append(
                SampleAssessment(
                    key=key,
                    codes=own.codes,
                    verdict=verdict,
                    placement=placement,
                    novelties=apply_route(novelties, origin.route),
                    learned_novelties=learned_novelties,
                    origin=origin,
                    compared=whole,
                )
            )
        return made

    def unused_domain_name(self, known: Knowledge) -> str:
        """Return the next name `domain-N` that no learned domain, novel domain or alarm uses."""
        return self.unused_domain_names(known, 1)[0]

    def unused_domain_names(self, known: Knowledge, count: int) -> list[str]:
        """Return so many next names, likewise."""
        used = {*known.domains, *self.novel_domains.names, *self.streams.alarm_domains()}
        number = len(known.domains) + 1
        names: list[str] = []
        while len(names) < count:
            if f"domain-{number}" not in used:
                names.append(f"domain-{number}")
            number += 1
        return names

    def record_facts(self, facts: Sequence[Fact]) -> None:
        """Record new facts: they leave the novel domains and score the answers that were served."""
        for fact in facts:
            buffered = self.label_buffer.get(fact.id)
            if buffered is not None and buffered.guess:
                right = buffered.guess == fact.label
                self.served_accuracy.record(fact.id, fact.domain, right=right)
        if self.novel_domains.names:
            self.novel_domains.drop(fact.id for fact in facts)
        self.knowledge_changed()

    def knowledge_changed(self) -> None:
        """Mark all windows stale; each is assessed again when next needed."""
        self.version += 1

    def select_unlabelled(self, selector: Selector) -> Iterator[str]:
        """Yield ids of buffered observations that a selector matches; they have no domain or label
        yet, so a selector that names either matches none."""
        if selector.domain is None:
            for key, buffered in self.label_buffer.items():
                if selector.selects(key, buffered):
                    yield key

    def propose_merge(self, source: str, target: str) -> None:
        """Propose to merge an opened domain: the runtime decides about its facts and candidates."""
        self._merges.append((source, target))

    def take_merges(self) -> list[tuple[str, str]]:
        """Return the merges proposed since the last call."""
        taken, self._merges = self._merges, []
        return taken

    def merge(self, source: str, target: str) -> None:
        """Merge an opened domain into another for everything that waits for labels."""
        if target not in self.novel_domains:
            self.novel_domains.close(source)
        self.rename(source, target)
        self.knowledge_changed()

    def rename(self, old: str, new: str) -> bool:
        """Rename a domain for everything that waits for labels; True if anything did."""
        buffered = self.label_buffer.rename(old, new)
        novel = old in self.novel_domains
        self.novel_domains.rename(old, new)
        self.served_accuracy.rename(old, new)
        return self.streams.rename(old, new) or buffered or novel

    def forget(self, observation_ids: frozenset[str]) -> None:
        """Drop observations, and all windows, since they may hold them."""
        self.label_buffer.drop(observation_ids)
        self.novel_domains.drop(observation_ids)
        self.served_accuracy.drop(observation_ids)
        self.clear_windows()

    def end_alarm(self, stream: str) -> bool:
        """End a stream's alarm, which was false; an unlabelled domain that it opened is dropped.
        Return whether there was one."""
        state = self.streams.get(stream)
        alarmed = state.alarmed
        if state.alarm_domain in self.novel_domains:
            self.novel_domains.drop(tuple(self.novel_domains.rows(state.alarm_domain)))
        state.announce("")
        state.clear()
        self.knowledge_changed()
        return alarmed

    def clear_windows(self) -> None:
        """Drop all windows, after a forget or a change of the geometry they were projected with."""
        self.streams.clear()
        self.knowledge_changed()
