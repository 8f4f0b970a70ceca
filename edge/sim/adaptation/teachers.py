"""Policies with a teacher: a slow average of the student whose answers the student follows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .policy import BATCH, NUMBER_BYTES, TINY, BatchPolicy, unit_rows
from .source_model import Doubles, Floats, SourceModel, seeded, softmax
from .steps import RATE, Adam, AffinePolicy

TEACHER_MEMORY = 0.99
"""Memory of a teacher for each step: the published codes take 0.999 for streams fifty times as
long."""
RESTORED = 0.01
"""Share of the parameters that CoTTA restores at a step: its authors' value."""
CONFIDENT = 0.9
"""Confidence of the source from which CoTTA's teacher does not average: near its authors' value."""
COPIES = 8
"""Disturbed copies of a sample that a teacher averages: its authors take 32."""
DROPPED = 0.1
"""Share of columns that a disturbed copy loses.  Chosen by hand: the features of pictures have no
augmentation of their own."""
NOISE = 0.3
"""Noise of a disturbed copy, in deviations within a class.  Chosen by hand."""
RMT_RATE = 1e-2
"""Step of Robust Mean Teacher: chosen on the development streams of the prototype."""
CONTRAST_WEIGHT = 0.1
"""Weight of the contrast in Robust Mean Teacher.  From the prototype; its authors take 1."""
CONTRAST_TEMPERATURE = 0.1
"""Temperature of the contrast: that of the authors' code."""
REPLAYED = 16
"""Facts of the source in a step of Robust Mean Teacher: one for each sample."""
LOW_RANK, HIGH_RANK = 1, 128
"""Ranks of ViDA's two adapters: those of the authors' code."""
VIDA_RATE = 1e-4
"""Step of ViDA: between the rates of the authors' code."""
VIDA_COPIES = 6
"""Disturbed copies from which ViDA takes a sample's uncertainty: its authors take 10."""
UNCERTAIN = 0.2
"""Uncertainty from which ViDA trusts the high-rank adapter more: its authors' threshold."""
SLOW = 0.1
"""Step of the agnostic prompt relative to the specific one.  From the prototype."""
SENSITIVITY_WEIGHT = 10.0
"""How strongly sensitive columns of the agnostic prompt are held.  From the prototype."""


def disturb(row: Floats, copies: int, source: SourceModel, random: np.random.Generator) -> Floats:
    """Return disturbed copies of a row [copies, columns]: some columns dropped, noise in all."""
    shape = (copies, len(row))
    noise = random.standard_normal(shape, np.float32) * np.sqrt(source.within)
    kept = random.random(shape, np.float32) >= DROPPED
    return np.asarray(row * kept + np.float32(NOISE) * noise)


class TeacherPolicy(AffinePolicy):
    """Base: an affine student and its slow average, with disturbed copies of samples."""

    passes = 2

    def reset(self) -> None:
        """See `AdaptationPolicy`."""
        super().reset()
        self.teacher_scale, self.teacher_shift = self.scale.copy(), self.shift.copy()
        self.random = seeded("teacher", self.seed)

    def teach(self, rows: Floats, shares: Floats, copies: int) -> Iterator[Doubles]:
        """Yield the teacher's mean logits on disturbed copies of each row."""
        for row, share in zip(rows, shares, strict=True):
            found = self.logits_with(
                self.teacher_scale,
                self.teacher_shift,
                disturb(row, copies, self.source, self.random),
                np.repeat(share, copies),
            )
            yield found.mean(0).astype(np.float64)

    def follow(self) -> None:
        """Move the teacher towards the student."""
        memory = TEACHER_MEMORY
        self.teacher_scale = memory * self.teacher_scale + (1 - memory) * self.scale
        self.teacher_shift = memory * self.teacher_shift + (1 - memory) * self.shift

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return super().own_bytes_max() + NUMBER_BYTES * (2 * self.source.columns + 1)


class Cotta(TeacherPolicy):
    """CoTTA (Wang, Fink, Van Gool and Dai 2022, section 3.2): a teacher averaged over steps, and
    over disturbed copies where the source is unsure; the student follows its answers, and some
    parameters return to the source's at random."""

    passes = COPIES + 3

    def begin(self) -> None:
        """See `HeadPolicy`."""
        self.targets = np.zeros((0, len(self.source.labels)))

    def predict(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `BatchPolicy`: the teacher answers."""
        plain = self.logits_with(self.teacher_scale, self.teacher_shift, rows, shares)
        sure = softmax(self.source.logits(rows, shares)).max(1) >= CONFIDENT
        answers = plain.astype(np.float64)
        if not sure.all():
            answers[~sure] = list(self.teach(rows[~sure], shares[~sure], COPIES))
        self.targets = np.concatenate([self.targets, softmax(answers)])
        return answers

    def learn(self, rows: Floats, shares: Floats) -> None:
        """See `BatchPolicy`."""
        super().learn(rows, shares)
        self.follow()
        self.scale[self.random.random(len(self.scale)) < RESTORED] = 1.0
        self.shift[self.random.random(len(self.shift)) < RESTORED] = 0.0
        self.targets = self.targets[:0].copy()

    def slope(self, rows: Floats, shares: Floats) -> Doubles | None:
        """See `AffinePolicy`."""
        student = self.logits_with(self.scale, self.shift, rows, shares)
        return (softmax(student) - self.targets) / len(rows)

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return super().own_bytes_max() + NUMBER_BYTES * BATCH * len(self.source.labels)


class RobustMeanTeacher(TeacherPolicy):
    """Robust Mean Teacher (Döbler, Marsden and Yang 2023, its three losses): symmetric
    cross-entropy between student and teacher, a contrast that ties a sample, its disturbed copy
    and the nearest source prototype together, and facts of the source again; without its warm-up
    and projection."""

    passes = 6

    def reset(self) -> None:
        """See `AdaptationPolicy`."""
        super().reset()
        self.scale_step = Adam(self.source.columns, RMT_RATE)
        self.shift_step = Adam(self.source.columns, RMT_RATE)

    def predict(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `BatchPolicy`: both answer."""
        student = self.logits_with(self.scale, self.shift, rows, shares)
        return student + self.logits_with(self.teacher_scale, self.teacher_shift, rows, shares)

    def learn(self, rows: Floats, shares: Floats) -> None:
        """See `BatchPolicy`."""
        source = self.source
        copies = np.concatenate([disturb(row, 1, self.source, self.random) for row in rows])
        teacher = softmax(self.logits_with(self.teacher_scale, self.teacher_shift, rows, shares))
        by_scale, by_shift = self._contrast(rows, copies)
        at = self.random.integers(0, len(source.facts), REPLAYED)
        ones = np.ones(REPLAYED, np.float32)
        replayed = softmax(self.logits_with(self.scale, self.shift, source.facts[at], ones))
        wanted = np.eye(len(source.labels))[source.targets[at]]
        parts = [(source.facts[at], (replayed - wanted) / REPLAYED)]
        for each in (rows, copies):
            student = softmax(self.logits_with(self.scale, self.shift, each, shares))
            parts.append((each, symmetric_slope(student, teacher) / len(rows)))
        for each, slope in parts:
            of_scale, of_shift = self.backward(slope, each)
            by_scale, by_shift = by_scale + of_scale, by_shift + of_shift
        self.step(by_scale, by_shift)
        self.follow()

    def _contrast(self, rows: Floats, copies: Floats) -> tuple[Doubles, Doubles]:
        """Return the gradients of the contrast by scale and shift."""
        changed = [each * self.scale + self.shift for each in (rows, copies)]
        means = self.source.class_means
        nearest = (unit_rows(changed[0]) @ unit_rows(means).T).argmax(1)
        joined = np.concatenate([means[nearest], *changed])
        norms = np.linalg.norm(joined, axis=1, keepdims=True) + TINY
        units, count = joined / norms, len(joined)
        likeness = units @ units.T / CONTRAST_TEMPERATURE
        np.fill_diagonal(likeness, -np.inf)
        shares, at = softmax(likeness), np.arange(count)
        for turn in (1, 2):
            shares[at, (at + turn * len(rows)) % count] -= 0.5
        by_units = (shares + shares.T) @ units / (CONTRAST_TEMPERATURE * count)
        by_joined = (by_units - (by_units * units).sum(1, keepdims=True) * units) / norms
        _, of_rows, of_copies = np.split(CONTRAST_WEIGHT * by_joined, 3)
        return (of_rows * rows + of_copies * copies).sum(0), (of_rows + of_copies).sum(0)


def symmetric_slope(student: Doubles, teacher: Doubles) -> Doubles:
    """Return the gradient of the symmetric cross-entropy by the student's logits [n, labels], with
    a quarter for each direction of two views."""
    logs = np.log(teacher + TINY)
    backward = student * ((student * logs).sum(1, keepdims=True) - logs)
    return np.asarray(0.25 * (student - teacher) + 0.25 * backward)


class Vida(BatchPolicy):
    """ViDA (Liu, Yang, Jia, Zhang, Guo, Xu, Ni, Zhang and Zhang 2024, its adapters and
    homeostasis): a low-rank and a high-rank adapter in parallel, of which a sample weighs the
    high-rank one more where disturbed copies of it disagree; a teacher of slow averages answers.
    The student follows its mean over those copies: its answer to the sample itself is the
    student's at first, and would teach nothing.  Without the random restoration of the authors'
    code."""

    aligned = True
    passes = VIDA_COPIES + 2

    def reset(self) -> None:
        """See `AdaptationPolicy`."""
        super().reset()
        columns, labels = self.source.columns, len(self.source.labels)
        random = seeded("vida", self.seed)
        self.student = {}
        for name, rank in (("low", LOW_RANK), ("high", HIGH_RANK)):
            drawn = random.standard_normal((columns, rank), np.float32)
            self.student[f"{name} down"] = drawn / np.float32(np.sqrt(columns))
            self.student[f"{name} up"] = np.zeros((rank, columns), np.float32)
        self.teacher = {name: one.copy() for name, one in self.student.items()}
        self.steps = {name: Adam(one.shape, VIDA_RATE) for name, one in self.student.items()}
        self.random = random
        self.targets, self.mixes = np.zeros((0, labels)), np.zeros((0, 2), np.float32)

    def predict(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `BatchPolicy`: the teacher answers, its adapters weighed for each row."""
        found = np.stack([self._disturbed(*pair) for pair in zip(rows, shares, strict=True)])
        unsure = np.sqrt(found.var(1).sum(1))
        sign = np.where(unsure >= UNCERTAIN, 1, -1)
        mixes = np.stack([1 - sign * unsure, 1 + sign * unsure], axis=1).astype(np.float32)
        self.targets = np.concatenate([self.targets, found.mean(1)])
        self.mixes = np.concatenate([self.mixes, mixes])
        return self.source.logits(self._adapt(self.teacher, rows, mixes), shares)

    def learn(self, rows: Floats, shares: Floats) -> None:
        """See `BatchPolicy`."""
        adapted = self._adapt(self.student, rows, self.mixes)
        slope = (softmax(self.source.logits(adapted, shares)) - self.targets) / len(rows)
        by_rows = (self.source.sharpness * (slope @ self.source.weights.T)).astype(np.float32)
        gradients = {}
        for at, name in enumerate(("low", "high")):
            down, up = self.student[f"{name} down"], self.student[f"{name} up"]
            weighed = self.mixes[:, at : at + 1] * by_rows
            gradients[f"{name} down"] = rows.T @ (weighed @ up.T)
            gradients[f"{name} up"] = (rows @ down).T @ weighed
        memory = np.float32(TEACHER_MEMORY)
        for name, gradient in gradients.items():
            self.student[name] -= self.steps[name](gradient).astype(np.float32)
            self.teacher[name] = memory * self.teacher[name] + (1 - memory) * self.student[name]
        self.targets, self.mixes = self.targets[:0].copy(), self.mixes[:0].copy()

    def _adapt(self, parts: dict[str, Floats], rows: Floats, mixes: Floats) -> Floats:
        low = rows @ parts["low down"] @ parts["low up"]
        high = rows @ parts["high down"] @ parts["high up"]
        return np.asarray(rows + mixes[:, :1] * low + mixes[:, 1:] * high, np.float32)

    def _disturbed(self, row: Floats, share: np.floating) -> Doubles:
        """Return the teacher's probabilities [copies, labels] on disturbed copies of a row."""
        copies = disturb(row, VIDA_COPIES, self.source, self.random)
        adapted = self._adapt(self.teacher, copies, np.ones((VIDA_COPIES, 2), np.float32))
        return softmax(self.source.logits(adapted, np.repeat(share, VIDA_COPIES)))

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`: student and teacher, the moments of Adam, and a batch's answers."""
        numbers = 2 * (LOW_RANK + HIGH_RANK) * self.source.columns
        waiting = BATCH * NUMBER_BYTES * (len(self.source.labels) + 1)
        return (2 * 4 + 2 * NUMBER_BYTES) * numbers + 10 * NUMBER_BYTES + waiting


class DomainPrompt(TeacherPolicy):
    """Visual Domain Prompt (Gan, Bai, Lou, Ma, Zhang, Shi and Luo 2023, Decorate the Newcomers,
    its two prompts): prompts are added to the input while the model stays; a fast one for the
    domain and a slow one for all domains, whose sensitive columns are held.  Here at the
    features."""

    passes = COPIES + 2

    def reset(self) -> None:
        """See `AdaptationPolicy`."""
        super().reset()
        columns = self.source.columns
        self.specific, self.agnostic = np.zeros(columns), np.zeros(columns)
        self.agnostic_step = Adam(columns, RATE * SLOW)
        self.sensitivity = np.zeros(columns)

    def learn(self, rows: Floats, shares: Floats) -> None:
        """See `BatchPolicy`."""
        student = softmax(self.predict(rows, shares))
        teacher = softmax(np.stack(list(self.teach(rows, shares, COPIES))))
        _, gradient = self.backward((student - teacher) / len(rows), rows)
        self.sensitivity = TEACHER_MEMORY * self.sensitivity + gradient**2
        held = 1 + SENSITIVITY_WEIGHT * self.sensitivity / (self.sensitivity.mean() + TINY)
        self.specific = self.specific - self.shift_step(gradient)
        # The step is divided, not the gradient: Adam would undo that.
        self.agnostic = self.agnostic - self.agnostic_step(gradient) / held
        self.shift = self.specific + self.agnostic
        self.follow()

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return super().own_bytes_max() + NUMBER_BYTES * (5 * self.source.columns + 2)
