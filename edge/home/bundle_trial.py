"""Health of a bundle on trial, counted from its start or the last restart."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Literal

from ..config import BundleSettings
from ..core import Acknowledgement, Decision, Event, Label, LabelMany, Message, Undoable
from ..mqtt import BundleTrialReport
from ..storage import BundleTrial

BUNDLE_FOLDER: Final = "bundles"
"""Folder in a home with the bundles that commands may import."""

GUESSES_MAX: Final = 4_096
"""Predictions kept until their label comes.  Chosen by hand; effect not measured."""

NS_PER_S: Final = 10**9
"""Nanoseconds in a second."""


class TrialHealth:
    """Counts decisions and labels of a trial.  opened_s: its start, in monotonic seconds."""

    def __init__(self, trial: BundleTrial, settings: BundleSettings, opened_s: float) -> None:
        self.trial = trial
        self._settings, self._opened_s = settings, opened_s
        self._decided = self._unknown = self._labelled = self._agreed = 0
        self._guesses: OrderedDict[str, str] = OrderedDict()

    def count(self, event: Event, messages: Iterable[Message]) -> None:
        """Count an event and the messages that it caused."""
        labels = _labels(event.event if isinstance(event, Undoable) else event)
        for one in messages:
            if isinstance(one, Decision):
                self._decided += 1
                self._unknown += one.known is not True
                self._guesses[one.observation_id] = one.guess
                if len(self._guesses) > GUESSES_MAX:
                    self._guesses.popitem(last=False)
            elif isinstance(one, Acknowledgement) and one.count:
                for label in labels:
                    guess = self._guesses.pop(label.observation_id, None)
                    self._labelled += guess is not None
                    self._agreed += guess == label.label

    def problem(self, now_ns: int, now_s: float) -> str:
        """Return the reason why the bundle should be reverted, or ''."""
        settings, least = self._settings, self._settings.observations_min
        if self._decided >= least and self._unknown > settings.unknown_share_max * self._decided:
            return f"{self._unknown} of {self._decided} decisions were novel or abstained"
        if self._labelled >= least and self._agreed < settings.agreement_min * self._labelled:
            return f"{self._agreed} of {self._labelled} labels agreed"
        late_ns = self.trial.started_at_ns + int(settings.trial_s * NS_PER_S)
        if now_ns >= late_ns or now_s - self._opened_s >= settings.trial_s:
            return f"it was not confirmed within {settings.trial_s:g} s"
        return ""

    def report(
        self, state: Literal["on trial", "confirmed", "reverted"], reason: str = ""
    ) -> BundleTrialReport:
        """Say how it is doing, or did."""
        return BundleTrialReport(
            bundle=self.trial.bundle,
            state=state,
            reason=reason,
            decided=self._decided,
            unknown=self._unknown,
            labelled=self._labelled,
            agreed=self._agreed,
        )


def _labels(event: Event) -> tuple[Label, ...]:
    if isinstance(event, LabelMany):
        return event.labels
    return (event,) if isinstance(event, Label) else ()
