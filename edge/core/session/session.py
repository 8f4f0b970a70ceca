"""What the runtime remembers beside the ledger; a crash may cost all of it."""

from collections.abc import Sequence

import hdc

from ..config import Config
from ..knowledge import Knowledge
from .label_buffer import LabelBuffer
from .novel_domains import NovelDomains, ReferenceModel
from .served_accuracy import ServedAccuracy
from .stream import SampleAssessment, StreamStates


class SessionState:
    """Recent observations, streams, openings, and how served answers did.

    config: of the runtime.  `version` counts the changes of knowledge.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.recent = LabelBuffer()
        self.streams = StreamStates(config.window)
        self.openings = NovelDomains()
        self.tally = ServedAccuracy()
        self.version = 0
        self._graduated = 0
        self._open: frozenset[str] = frozenset()

    def lay(self, known: Knowledge) -> ReferenceModel:
        """Return what observations are placed on now; openings that are learned close first."""
        if self._graduated != self.version:
            self.openings.graduate(known, self._config)
            self._graduated = self.version
        if self._open - self.openings.names:
            # What windows say of an opening that is gone must be said again.
            self.version += 1
        self._open = self.openings.names
        return self.openings.lay(known, self.version)

    def glance(
        self, key: str, codes: hdc.Codes, known: Knowledge, ground: ReferenceModel
    ) -> SampleAssessment:
        """Look at one observation: by what is learned, and openings included."""
        rate = self._config.false_alarm_rate
        inner, whole = ground.compare(codes, known)
        verdict = placed = hdc.decide(inner, known.memory, known.calibration(), rate)
        learned = near = inner.nearest()
        if whole is not inner:
            placed = hdc.decide(whole, ground.memory, ground.calibration, rate)
            near = whole.nearest()
        return SampleAssessment(
            key=key, codes=codes, verdict=verdict, placed=placed, near=near, learned=learned
        )

    def glance_each(
        self, keys: Sequence[str], codes: hdc.Codes, known: Knowledge, ground: ReferenceModel
    ) -> list[SampleAssessment]:
        """`glance` at several observations, all at once."""
        rate, calibration = self._config.false_alarm_rate, known.calibration()
        inner = hdc.detect_each(codes, known.memory, calibration, rate)
        whole = inner
        if ground.learned is not None:
            whole = hdc.detect_each(codes, ground.memory, ground.calibration, rate)
        looks = []
        for key, (mine, verdict), (every, placed) in zip(keys, inner, whole, strict=True):
            learned = mine.nearest()
            near = learned if every is mine else every.nearest()
            looks.append(
                SampleAssessment(
                    key=key,
                    codes=mine.codes,
                    verdict=verdict,
                    placed=placed,
                    near=near,
                    learned=learned,
                )
            )
        return looks

    def next_domain(self, known: Knowledge) -> str:
        """Return a name for a domain that no domain, opening or stream has."""
        taken = {*known.domains, *self.openings.names, *self.streams.openings()}
        number = len(known.domains) + 1
        while f"domain-{number}" in taken:
            number += 1
        return f"domain-{number}"

    def rename(self, old: str, new: str) -> bool:
        """Let one domain be another for all that waits; True where something did."""
        waiting = self.recent.rename(old, new)
        opening = old in self.openings
        self.openings.rename(old, new)
        self.tally.rename(old, new)
        return self.streams.rename(old, new) or waiting or opening

    def forget(self, observation_ids: frozenset[str]) -> None:
        """Drop observations, and all windows, which may hold them."""
        self.recent.drop(observation_ids)
        self.openings.drop(observation_ids)
        self.tally.drop(observation_ids)
        self.streams.clear()
        self.version += 1
