"""Labelling at a terminal that has colours, through a daemon that runs: the whole way."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import encoder
from edge.commands.control_socket import send_to_daemon
from edge.config.settings import SETTINGS
from edge.core.events import Enrol, StoreLabelCandidates
from edge.core.facts import Fact, LabelCandidate
from edge.home.home import Home
from edge.home.new_home import create_home
from encoder.testing import tiny_card, tiny_payloads
from tests.daemons import Process
from tests.homes import CARD, learned_home, run, run_json
from tests.terminals import Terminal
from tests.worlds import clouds

SHOWN = 40
"""Samples of a new domain: the daemon asks for labels after about 30."""
RATE_HZ = 16_000


def teach(folder: Path, known: Mapping[str, Sequence[Any]], streams: str) -> Path:
    """Teach a home samples by label in the domain hall, with raw inputs kept."""
    with Home(folder) as home:
        facts = [
            Fact(
                id=f"{label}-{at}",
                stream="learn",
                domain="hall",
                label=label,
                captured_at_ns=at * 10**9 + 1,
                features=home.model.encode(sample).values.tobytes(),
            )
            for label, samples in known.items()
            for at, sample in enumerate(samples)
        ]
        home.feed(Enrol(tuple(facts)))
        home.refit_geometry()
    settings = folder / SETTINGS
    text = settings.read_text("utf-8").replace("raw = false", "raw = true")
    settings.write_text(f'{text}\n[device]\nname = "gw1"\n{streams}', "utf-8")
    return folder


def vectors(folder: Path) -> Path:
    """A home of vectors with named columns that knows dogs and cats and reads lines of JSON."""
    create_home(folder, CARD, "", [f"sensor{number}" for number in range(CARD.width)])
    rows = clouds((1, 2), 60)
    known = {"dog": rows[:60], "cat": rows[60:]}
    return teach(folder, known, '[streams.cam]\nsource = "stdin"\n')


@contextmanager
def asking(folder: Path) -> Iterator[tuple[Process, dict[str, Any]]]:
    """A daemon that has detected a new domain, and its label request."""
    daemon = Process(folder)
    try:
        if "stdin" in (folder / SETTINGS).read_text("utf-8"):
            for row in clouds((7,), SHOWN):
                daemon.say(json.dumps([int(value) for value in row]))
        wanted = daemon.hear()
        while wanted["schema"] != "auricle/v1/label-request" or len(wanted["observation_ids"]) < 5:
            wanted = daemon.hear()
        yield daemon, wanted
    finally:
        daemon.kill()


def skip_alarm(person: Terminal) -> None:
    """Leave the question about the lasting alarm open, which comes first."""
    person.until("harmless or real: ")
    person.enter("")


def skip_clusters(person: Terminal) -> str:
    """Leave the clusters of the new domain without a name; they come before single observations."""
    shown = person.until("label: ")
    while "cluster " in shown:
        person.enter("")
        shown = person.until("label: ")
    return shown


def labels_of(folder: Path) -> dict[str, int]:
    """The number of facts of each label outside the domain hall."""
    with Home(folder, writable=False) as home:
        found = home.store.concepts().items()
        return {label: count for (domain, label), count in found if domain != "hall"}


def test_a_vector_is_shown_and_labelled(tmp_path):
    """The screen shows values by column name, the guess and known examples; a typo needs
    confirmation, and labels survive a killed daemon."""
    home = vectors(tmp_path / "home")
    with asking(home) as (daemon, wanted), Terminal("label", "--home", home) as person:
        assert [one["observation_id"] for one in wanted["observations"]] == (
            wanted["observation_ids"]
        )
        described = wanted["observations"][0]
        assert described["guess"] in {"dog", "cat"}
        assert described["p_value"] <= 0.01
        assert (described["stream"], described["domain"]) == ("cam", wanted["domain"])
        assert described["captured_at_ns"] > 0
        skip_alarm(person)
        shown = skip_clusters(person)
        for text in (
            "unlike all known examples",
            "p-value 0.0",
            "nearest",
            "in hall, 1970-01-01",
            "range of",
            "outside",
            "id ",
            "sensor7 ",
        ):
            assert text in shown, (text, shown)
        person.enter("dgo")
        assert "'dgo' is new. Did you mean 'dog'?" in person.until("create dgo: ")
        person.enter("y")
        person.until("2/")
        person.until("label: ")
        person.enter("dgo")
        person.until("create dgo: ")
        person.enter("n")
        person.until("3/")
        person.until("label: ")
        person.enter("q")
        assert person.end() == 0, person.screen
        assert "2 labelled" in person.screen
        daemon.kill()
    assert labels_of(home) == {"dog": 1, "dgo": 1}


def test_images_are_drawn(tmp_path):
    """The daemon sends the image; it is drawn in colour, with guess and examples."""
    (tmp_path / "model").mkdir()
    card = tiny_card(tmp_path / "model")
    encoder.save_card(card, tmp_path / "model" / "card.toml")
    home, photos = tmp_path / "home", tmp_path / "photos"
    create_home(home, None, str(tmp_path / "model" / "card.toml"))
    dog, cat, new = (near(image) for image in tiny_payloads(3))
    teach(home, {"dog": dog, "cat": cat}, f'[streams.cam]\nsource = "folder"\npath = "{photos}"\n')
    photos.mkdir()
    for at, image in enumerate(new[:SHOWN]):
        (photos / f"{at:03}.ppm").write_bytes(b"P6 16 16 255\n" + image.tobytes())
    with asking(home) as (daemon, _), Terminal("label", "--home", home) as person:
        skip_alarm(person)
        shown = person.until("label: ")
        assert "▀" * 16 in shown, shown
        assert b"\x1b[38;" in person.raw
        assert "guess " in shown
        assert "nearest" in shown
        person.enter("sketch")
        person.until("2/")
        person.until("label: ")
        person.enter("q")
        assert person.end() == 0, person.screen
        daemon.kill()
    assert labels_of(home) == {"sketch": 1}


def near(image: NDArray[Any], count: int = 100) -> list[NDArray[np.uint8]]:
    """Nearly identical images."""
    random = np.random.default_rng(0)
    noise = random.integers(-20, 21, (count, *image.shape))
    return list(np.clip(image.astype(np.int64) + noise, 0, 255).astype(np.uint8))


def tones(pitch_hz: float, count: int) -> list[NDArray[np.float32]]:
    """Seconds of a tone in noise, float32 [16000, 1]."""
    random = np.random.default_rng(0)
    time = 2 * np.pi * pitch_hz * np.arange(RATE_HZ) / RATE_HZ
    found = (0.3 * np.sin(time + phase) for phase in random.random(count))
    noisy = (one + 0.02 * random.standard_normal(RATE_HZ) for one in found)
    return [one.astype(np.float32)[:, None] for one in noisy]


def test_sounds_are_drawn(tmp_path):
    """A sound is shown as a waveform with length and level, guess and examples."""
    home, sounds = tmp_path / "home", tmp_path / "sounds"
    create_home(home, None, "log_mel")
    streams = f'[streams.mic]\nsource = "sound"\npath = "{sounds}"\n'
    teach(home, {"hum": tones(100, 100), "whistle": tones(2000, 100)}, streams)
    sounds.mkdir()
    for at, samples in enumerate(tones(700, SHOWN)):
        with wave.open(str(sounds / f"{at:03}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
    with asking(home) as (daemon, _), Terminal("label", "--home", home) as person:
        skip_alarm(person)
        shown = person.until("label: ")
        assert "1.00 s, RMS 0.21" in shown, shown
        assert "dB of full scale" in shown
        assert "▇" in shown or "█" in shown
        assert "guess " in shown
        assert "nearest" in shown
        person.enter("beep")
        person.until("2/")
        person.until("label: ")
        person.enter("q")
        assert person.end() == 0, person.screen
        daemon.kill()
    assert labels_of(home) == {"beep": 1}


def test_measurements_leave_through_the_socket_alone(tmp_path):
    """The socket in the home's folder returns an explanation; an unknown observation is refused
    with a hint."""
    home = vectors(tmp_path / "home")
    with asking(home) as (_, wanted):
        request = {"verb": "explain", "id": "e1", "observation_id": wanted["observation_ids"][0]}
        found = send_to_daemon(home, request)
        assert found["done"], found
        assert found["body"]["kind"] == "vector"
        assert len(found["body"]["columns"]) == 8
        refused = send_to_daemon(home, request | {"id": "e2", "observation_id": "unknown"})
        assert not refused["done"]
        assert "does not wait" in refused["reason"]


def test_one_label_given_by_id_is_questioned_too(tmp_path):
    """At a terminal a typo is a question; a command is executed, and its answer has a warning."""
    home = vectors(tmp_path / "home")
    with asking(home) as (daemon, wanted):
        first, second = wanted["observation_ids"][:2]
        with Terminal("label", first, "dgo", "--home", home) as person:
            assert "'dgo' is new. Did you mean 'dog'?" in person.until("create dgo: ")
            person.enter("maybe")
            person.until("create dgo: ")
            person.enter("yes")
            assert person.end() == 0, person.screen
        fields = ("--set", f"observation_id={second}", "--set", "label=catt")
        result = run("command", "label", *fields, "--home", home)
        assert result.exit_code == 0, result.output
        assert "warning: the label 'catt' is new; did you mean 'cat'?" in result.stderr
        assert json.loads(result.stdout)["body"]["warnings"]
        daemon.kill()
    assert labels_of(home) == {"dog": 1, "catt": 1}


@pytest.mark.parametrize(("answer", "created"), [("", False), ("n", True)])
def test_learning_at_a_terminal_asks_about_a_typo(tmp_path, answer, created):
    """Enter takes the known name, n creates the new one."""
    home = learned_home(tmp_path / "home")
    run("relabel", "--home", home, "--label", "a", "--to-label", "normal")
    table = tmp_path / "more.csv"
    table.write_text(
        "".join(
            f"{line}\n"
            for line in (
                ",".join(f"x{n}" for n in range(8)),
                "1,2,3,4,5,6,7,8",
            )
        ),
        "utf-8",
    )
    words = ("learn", table, "--home", home, "--domain", "hall", "--label", "nomral")
    with Terminal(*words) as person:
        assert "'nomral' is new. Did you mean 'normal'?" in person.until("create nomral: ")
        person.enter(answer)
        assert person.end() == 0, person.screen
    concepts = {
        (one["domain"], one["label"]) for one in run_json("inspect", "--home", home)["concepts"]
    }
    assert (("hall", "nomral") in concepts) is created


def test_the_end_shows_what_more_labels_gain(tmp_path):
    """After the labels, the terminal names each domain with its expected gain, the new one too."""
    home = vectors(tmp_path / "home")
    with asking(home) as (daemon, wanted), Terminal("label", "--home", home) as person:
        skip_alarm(person)
        skip_clusters(person)
        for number in range(2, 4):
            person.enter("dog")
            person.until(f"{number}/")
            person.until("label: ")
        person.enter("q")
        assert person.end() == 0, person.screen
        shown = person.screen[person.screen.index("2 labelled") :]
        assert "hall: the next 10 labels gain about 0.0 points of accuracy (0.0 to " in shown
        assert f"{wanted['domain']}: too few labels to predict the gain of more" in shown
        daemon.kill()


def test_each_label_chooses_the_next_observation(tmp_path):
    """After a label for one of two clouds, the other cloud comes next, though its observations
    waited behind; what was skipped is not shown again."""
    home = vectors(tmp_path / "home")
    rows = clouds((7, 8), 6)
    with Home(home) as opened:
        waiting = tuple(
            LabelCandidate(
                observation_id=f"{'near' if at < 6 else 'far'}-{at}",
                stream="cam",
                subject="",
                domain="yard",
                captured_at_ns=at + 1,
                score=1 / (1 + at),
                features=np.asarray(row, np.uint8).tobytes(),
            )
            for at, row in enumerate(rows)
        )
        opened.store.apply(StoreLabelCandidates(waiting))
    with Terminal("label", "--home", home) as person:
        assert "1/12  near-0" in person.until("label: ")
        person.enter("")
        assert "2/12  near-1" in person.until("label: ")
        person.enter("dog")
        assert "3/12  far-" in person.until("label: ")
        person.enter("q")
        assert person.end() == 0, person.screen
        assert person.screen.count("near-0\n") == 1
