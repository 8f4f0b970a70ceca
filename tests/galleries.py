"""Homes whose observations wait for a label: vectors in the file, real pictures as they arrive."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from edge.core.events import StoreLabelCandidates
from edge.core.facts import LabelCandidate
from edge.home.home import Home
from tests.daemons import daemon_home
from tests.homes import run
from tests.worlds import clouds

PACS = Path(os.environ.get("AURICLE_DATA", "nowhere")) / "pacs_webp65.npz"
needs_pictures = pytest.mark.skipif(not PACS.exists(), reason="needs PACS in AURICLE_DATA")


def waiting_home(folder: Path, streams: Mapping[str, int], ids: Sequence[str] = ()) -> Path:
    """A home of vectors with facts of `a` and `b`, and observations of two clouds that wait.

    streams: how many wait in each; they are named `STREAM-00001` and so on.  ids: of the first
    ones of the stream `hostile`, in place of such names.
    """
    daemon_home(folder)
    count = sum(streams.values())
    rows = clouds((11, 12), -(-count // 2), spread=6)
    names = [(name, at) for name, many in streams.items() for at in range(many)]
    waiting = tuple(
        LabelCandidate(
            observation_id=ids[at]
            if stream == "hostile" and at < len(ids)
            else f"{stream}-{at:05}",
            stream=stream,
            subject="",
            domain="hall",
            captured_at_ns=1_000 + at,
            score=1 - number / count,
            features=rows[number].tobytes(),
        )
        for number, (stream, at) in enumerate(names)
    )
    with Home(folder) as home:
        home.store.apply(StoreLabelCandidates(waiting))
    return folder


def write_pictures(folder: Path, domain: str, per_class: int, *, flat: bool = False) -> int:
    """Write real pictures of a domain of PACS (Li et al. 2017), in a folder for each class or all
    in one; returns how many."""
    data = np.load(PACS)
    content, seen = data["blob"].tobytes(), Counter[str]()
    wanted = list(data["domains"]).index(domain)
    for at in np.flatnonzero(data["domain"] == wanted).tolist():
        label = str(data["classes"][data["label"][at]])
        seen[label] += 1
        if seen[label] > per_class:
            continue
        place = folder if flat else folder / label
        place.mkdir(parents=True, exist_ok=True)
        start, end = data["offsets"][at], data["offsets"][at + 1]
        (place / f"{label}-{seen[label]:03}.webp").write_bytes(content[start:end])
    return sum(min(count, per_class) for count in seen.values())


def picture_home(folder: Path, per_class: int = 15, arriving: int = 20) -> Path:
    """A home that has learned photographs, and in whose stream sketches arrive."""
    photos, arrive = folder.parent / "photos", folder.parent / "arrive"
    write_pictures(photos, "photo", per_class)
    write_pictures(arrive, "sketch", arriving, flat=True)
    assert run("init", folder).exit_code == 0
    learned = run("learn", photos, "--home", folder, "--domain", "photo")
    assert learned.exit_code == 0, learned.output
    settings = folder / "auricle.toml"
    text = settings.read_text("utf-8").replace("raw = false", "raw = true")
    stream = f'[device]\nname = "gate"\n\n[streams.gate]\nsource = "folder"\npath = "{arrive}"\n'
    settings.write_text(f"{text}\n{stream}", "utf-8")
    return folder
