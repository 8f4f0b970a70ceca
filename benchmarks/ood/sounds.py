"""Raw sound through the shipped encoder `log_mel`, from Debian packages.

Domains: speakers, languages and groups of instruments.  Recordings are cut as `auricle learn` cuts
them: windows of one second, every half second, those of one recording kept together.  A recording
shorter than a window is padded with silence.
"""

import wave
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import encoder
from encoder import Card

from .sets import FeatureSet, installed_folder, package_folder, single_tap

Floats = NDArray[np.float32]
Recording = tuple[Floats, int, int]

PROMPTS = ("en_US_f_Allison", "fr_CA_f_June", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
"""Speakers of the packages asterisk-core-sounds-*-wav, one person for each folder."""
SPELT = ("digits", "letters", "phonetic")
"""Folders of a speaker that are labels of their own; the rest is phrases."""
INSTRUMENTS = (("ambi", "bass", "elec", "glitch"), ("bd", "drum", "perc", "sn"), ("loop",))
"""First words of file names in sonic-pi-samples, by domain: tones, drums, rhythms; then hand
drums."""
HAND_DRUMS = ("tabla",)
"""The fourth domain of INSTRUMENTS."""
QUIET = 1e-3
"""Windows with a smaller root mean square are silence, which all speakers share."""
RECORDING_S_MAX = 8
"""Seconds of a recording that are used, so that long ones do not outweigh the others."""
LETTERS_MIN = 90
"""Recordings of a language in klettres-data; languages with fewer are left out."""
RATE_HZ = 16_000
"""The rate of the shipped encoder `log_mel`."""


def prompts(card: Card | None = None) -> FeatureSet:
    """Return spoken prompts of a telephone exchange at 8 kHz: another speaker; the label is the
    folder (digits, letters, phrases)."""
    root = installed_folder(
        "/usr/share/asterisk/sounds", "asterisk-core-sounds-en-wav (-fr -it -ru)"
    )
    made = []
    for domain, speaker in enumerate(PROMPTS):
        for path in sorted((root / speaker).rglob("*.wav")):
            kind = path.parent.name
            label = SPELT.index(kind) + 1 if kind in SPELT else 0
            made.append((read_recording(path), label, domain))
    return _sound_set("sound_prompts", made, (0, 1, 2, 3), card)


def letters(card: Card | None = None) -> FeatureSet:
    """Return spoken letters and syllables of many languages: another language and speaker."""
    root = installed_folder("/usr/share/klettres", "klettres-data")
    made, domain = [], 0
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        paths = sorted(folder.rglob("*.ogg"))
        if len(paths) >= LETTERS_MIN:
            made += [
                (read_recording(path), int(path.parent.name == "syllab"), domain) for path in paths
            ]
            domain += 1
    return _sound_set("sound_letters", made, tuple(range(min(4, domain))), card)


def instruments(card: Card | None = None) -> FeatureSet:
    """Return samples of instruments: another group of instruments; the label is the kind."""
    root = installed_folder("/usr/share/sonic-pi/samples", "sonic-pi-samples")
    made = []
    for domain, kinds in enumerate((*INSTRUMENTS, HAND_DRUMS)):
        for label, kind in enumerate(kinds):
            made += [
                (read_recording(path), label, domain)
                for path in sorted(root.glob(f"{kind}_*.flac"))
            ]
    return _sound_set("sound_instruments", made, (0, 1, 2, 3), card)


def _sound_set(
    name: str, recordings: Iterable[Recording], sources: tuple[int, ...], chosen: Card | None
) -> FeatureSet:
    """Return windows through an encoder, by default `log_mel`; a card without a quantiser leaves it
    to the set."""
    rows, label, domain, group = [], [], [], []
    with encoder.open_model(chosen or "log_mel") as opened:
        card = opened.card
        for number, (samples, kind, where) in enumerate(recordings):
            windows = _windows(samples, card)
            if windows:
                rows.append(opened.measure(windows))
                label += [kind] * len(windows)
                domain += [where] * len(windows)
                group += [number] * len(windows)
    edges = np.cumsum([0, *(tap.width for tap in card.taps)]).tolist()
    frozen = card.quantiser
    made = single_tap(
        name,
        np.concatenate(rows),
        np.asarray(label, dtype=np.int64),
        np.asarray(domain, dtype=np.int64),
        granularity="tap",
        sources=sources,
    )
    return replace(
        made,
        slices=tuple(pairwise(edges)),
        group=np.asarray(group, dtype=np.int64),
        frozen=None if frozen is None else (frozen.scale, frozen.zero.astype(np.int64)),
    )


def _windows(samples: Floats, card: encoder.Card) -> list[Floats]:
    length = card.preparation.length or len(samples)
    padded = np.pad(samples, (0, max(0, length - len(samples))))
    found = encoder.cut_windows(padded[:, None], card)
    return [one for one in found if float(np.sqrt(np.square(one).mean())) >= QUIET]


def read_recording(path: Path) -> Floats:
    """Return a recording as mono samples at the encoder's rate."""
    from scipy.signal import resample_poly

    samples, rate = _read_wav(path) if path.suffix == ".wav" else _read_other(path)
    mono = samples[: RECORDING_S_MAX * rate].mean(axis=1)
    share = Fraction(RATE_HZ, rate)
    if share == 1 or not len(mono):
        return np.asarray(mono, dtype=np.float32)
    return np.asarray(resample_poly(mono, share.numerator, share.denominator), dtype=np.float32)


def _read_wav(path: Path) -> tuple[Floats, int]:
    """Return the samples [n, channels] of a WAV file of 16 bits, and its rate."""
    with wave.open(str(path)) as file:
        assert file.getsampwidth() == 2
        raw = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        samples = raw.reshape(-1, file.getnchannels()).astype(np.float32) / np.float32(1 << 15)
        return np.asarray(samples, np.float32), int(file.getframerate())


def _read_other(path: Path) -> tuple[Floats, int]:
    package_folder("soundfile")
    import soundfile

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(samples, np.float32), int(rate)
