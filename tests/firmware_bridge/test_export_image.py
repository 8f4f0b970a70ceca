from __future__ import annotations

import random
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from benchmarks.bridge.board import decide_natively, mismatched_bits
from firmware_bridge import ExportError, decide, decision_words, pack_extract, ram_bytes
from firmware_bridge.export_image import unpack
from tests.extracts import PLAIN, Form, extract_of, forms, samples_of

RANDOM = replace(PLAIN, random=True)
ERRORS_OF_OPEN = {10, 11, 12, 13}
"""Exit statuses of the test program where C refuses an extract, or it needs too much memory."""


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(form=forms())
def test_c_decides_bit_for_bit_as_python(detector: Path, form: Form):
    """Hypervector, verdict, route and answer are the same in C, whatever the extract is like."""
    extract, rows = extract_of(form), samples_of(form)
    found = decide_natively(detector, extract, rows)
    assert mismatched_bits(found, decision_words(decide(extract, rows))) == 0


@given(form=forms())
def test_words_hold_the_whole_extract(form: Form):
    """Packed and read again, an extract decides the same and packs to the same words."""
    extract, rows = extract_of(form), samples_of(form, 4)
    image = pack_extract(extract)
    again = unpack(image)
    assert pack_extract(again) == image
    assert (decision_words(decide(again, rows)) == decision_words(decide(extract, rows))).all()
    assert int(np.frombuffer(image, "<u4").sum(dtype=np.uint64)) % 2**32 == 0


def test_damaged_words_are_refused():
    """A flipped bit, a missing end and other bytes give ExportError, never another extract."""
    image = pack_extract(extract_of(PLAIN))
    for place in range(0, len(image), 97):
        damaged = bytearray(image)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ExportError):
            unpack(bytes(damaged))
    for short in (image[:-4], image[:60], b"", b"AUR1" * 40):
        with pytest.raises(ExportError):
            unpack(short)


@pytest.mark.parametrize("form", [PLAIN, RANDOM], ids=["plain", "random"])
def test_c_never_reads_outside_an_extract(detector: Path, tmp_path: Path, form: Form):
    """Words changed at random, with their sum put right, are decided on or refused, within the
    sanitizers' bounds."""
    image = np.frombuffer(pack_extract(extract_of(form)), "<u4").astype(np.uint32)
    (tmp_path / "features.bin").write_bytes(samples_of(form).tobytes())
    table = range(int(image[24]), int(image[24]) + 8) if form.random else range(3, 24)
    chosen, refused = random.Random(7), 0
    for _ in range(150):
        words = image.copy()
        for _ in range(chosen.choice((1, 1, 2, 5))):
            place = chosen.randrange(3, 25 if chosen.random() < 0.7 else len(words))
            place = chosen.choice(table) if chosen.random() < 0.5 else place
            words[place] = chosen.choice(
                (0, 1, 2**31, 2**32 - 1, len(words), chosen.getrandbits(10))
            )
        words[2] = 0
        words[2] = -int(words.sum(dtype=np.uint64)) & 0xFFFFFFFF
        (tmp_path / "extract.bin").write_bytes(words.astype("<u4").tobytes())
        ran = subprocess.run([detector], cwd=tmp_path, capture_output=True, timeout=20, check=False)
        assert ran.returncode in {0, *ERRORS_OF_OPEN}, ran.stderr.decode()
        refused += ran.returncode != 0
    assert refused > 50


def test_only_code_that_knows_random_features_opens_them():
    """Their words begin otherwise, so that other code refuses them as no extract."""
    assert pack_extract(extract_of(RANDOM))[:4] == b"AUR2"
    assert pack_extract(extract_of(PLAIN))[:4] == b"AUR1"


def test_ram_is_the_sum_of_the_parts():
    """Features, hypervector, half a word for each padded feature, a little for the last stages."""
    form = Form(64, 0, 2048, 2, 1, columns=False, plane=False, wide=False, seed=1)
    assert ram_bytes(extract_of(form)) == 64 + 256 + 4 * 32 + 8
    random = extract_of(replace(form, random=True))
    assert random.random is not None
    assert ram_bytes(random) == 64 + 256 + 4 * (64 + 2)


def test_a_head_that_domains_share_is_stored_once():
    """The words of an extract grow by a table row for a further domain with the same head."""
    form = Form(64, 0, 256, 4, 4, columns=False, plane=False, wide=False, seed=1)
    extract = extract_of(form)
    (head, *_) = extract.heads
    shared = pack_extract(replace(extract, heads=(head,) * 4))
    single = pack_extract(replace(extract, heads=(head, None, None, None)))
    assert len(shared) == len(single)
