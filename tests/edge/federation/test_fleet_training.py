"""A whole training over homes and recordings, in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")

import nas
from edge.core.errors import EdgeError
from edge.federation import (
    ForecasterDevice,
    InProcessFleet,
    TrainingSubject,
    label_accuracy,
    open_home_device,
    train_fleet,
)
from edge.federation.adaptor_task import AdaptorCourse
from edge.federation.devices import (
    AdaptorDevice,
    Introduction,
    device_names,
    open_recording_device,
)
from edge.growth.forecaster_training import make_training_set
from edge.home.home import Home
from tests.federations import DOMAIN, ORDER, SUBJECT, forget, teach_homes


def fleet_of(paths: list[Path]) -> InProcessFleet:
    """The homes as devices."""
    return InProcessFleet([open_home_device(path, SUBJECT) for path in paths])


def test_an_adaptor_is_trained_over_homes(tmp_path: Path):
    """It separates the labels, for facts of every home; its bits depend on neither order nor
    repetition; every round is reported."""
    paths = teach_homes(tmp_path)
    order = msgspec.structs.replace(ORDER, rounds=6)
    made = train_fleet(fleet_of(paths), order)
    again = train_fleet(fleet_of(paths[::-1]), order)
    assert made.digest == again.digest
    assert made.members == {"north": 24, "south": 24, "west": 24}
    assert isinstance(made.course, AdaptorCourse)
    for path in paths:
        assert label_accuracy(made.model, open_home_device(path, SUBJECT).facts, made.course) > 0.9
    assert [one.number for one in made.rounds] == list(range(1, 7))
    size = sum(value.nbytes for value in made.model.values())
    assert made.rounds[0].sent_bytes == 2 * 3 * size


def test_order_and_ids_of_facts_change_nothing(tmp_path: Path):
    """The same facts in another home with the same name give the same digest."""
    one = open_home_device(teach_homes(tmp_path / "one", ("north",))[0], SUBJECT)
    two = open_home_device(teach_homes(tmp_path / "two", ("north",))[0], SUBJECT)
    assert one.digest == two.digest


def test_a_label_with_few_facts_takes_no_part(tmp_path: Path):
    """Seven different facts of a label are withheld, as in contributions; eight are not."""
    (path,) = teach_homes(tmp_path, ("north",))
    with Home(path) as home:
        for number in (12, 13, 14, 15):
            forget(home, f"north-{number}")
        assert set(open_home_device(path, SUBJECT).facts.labels) == {"a", "b"}
        forget(home, "north-16")
    assert set(open_home_device(path, SUBJECT).facts.labels) == {"a"}
    with pytest.raises(EdgeError, match="no label with 8 different facts"):
        open_home_device(path, TrainingSubject(domain="elsewhere"))


class LyingDevice:
    """A device that tells other sums of its columns than those of its facts."""

    def __init__(self, device: AdaptorDevice, changes: dict[str, Any]) -> None:
        self.device, self.changes = device, changes
        self.name, self.digest = device.name, device.digest

    def introduce(self) -> Introduction:
        """With the changed sums."""
        made = self.device.introduce()
        return replace(made, statistics={**made.statistics, **self.changes})

    def task(self, course: Any) -> Any:
        """The device's own."""
        return self.device.task(course)


def test_devices_that_do_not_fit_are_refused(tmp_path: Path):
    """Equal names, another encoder card, a blueprint that is not trained, one label alone."""
    paths = teach_homes(tmp_path, ("north", "south"))
    north, south = (open_home_device(path, SUBJECT) for path in paths)
    with pytest.raises(EdgeError, match="different names"):
        train_fleet(InProcessFleet([north, north]), ORDER)
    with pytest.raises(EdgeError, match="different names"):
        device_names([paths[0], paths[0]], SUBJECT)
    with pytest.raises(EdgeError, match="encoder card"):
        train_fleet(InProcessFleet([north, replace(south, card="other")]), ORDER)
    for name, value, why in (
        ("count", np.array([1 << 40]), "facts, expected 1 to"),
        ("levels", np.full(8, -1), "levels outside 0 to 255"),
        ("roots", np.full(8, 1 << 40), "roots of other levels"),
        ("roots", np.full(8, 0.5), "not whole numbers"),
    ):
        lying = LyingDevice(south, {name: value})
        with pytest.raises(EdgeError, match=why):
            train_fleet(InProcessFleet([north, lying]), ORDER)
    solved = msgspec.structs.replace(SUBJECT, blueprint=nas.Blueprint(kind="none", taps=(0,)))
    with pytest.raises(EdgeError, match="solved, not trained"):
        train_fleet(InProcessFleet([north]), msgspec.structs.replace(ORDER, subject=solved))
    single = replace(north.facts, labels=("a",) * 24)
    with pytest.raises(EdgeError, match="2 labels or more"):
        train_fleet(InProcessFleet([replace(north, facts=single)]), ORDER)
    with pytest.raises(EdgeError, match="a strategy of"):
        train_fleet(InProcessFleet([north]), msgspec.structs.replace(ORDER, strategy="none"))


def test_a_forecaster_is_trained_over_streams(tmp_path: Path):
    """Two devices' streams make one network, whose loss falls; a short stream is refused."""
    times = np.arange(300)
    devices = []
    for number in range(2):
        values = np.sin(times / (5.0 + number))[:, None] * 10
        devices.append(
            ForecasterDevice(f"d{number}", [make_training_set(values, np.full(300, 300.0))])
        )
    order = msgspec.structs.replace(
        ORDER, subject=TrainingSubject(forecaster="cfc"), strategy="fedhyper-relative", rounds=4
    )
    made = train_fleet(InProcessFleet(devices), order)
    assert "ff1.weight" in made.model
    assert made.rounds[-1].loss < made.rounds[0].loss
    with pytest.raises(EdgeError, match="does not follow from sums"):
        train_fleet(InProcessFleet(devices), msgspec.structs.replace(order, strategy="sums"))
    path = tmp_path / "press.csv"
    path.write_text("time,a\n" + "\n".join(f"{n * 300},{n % 7}" for n in range(40)))
    short = open_recording_device(path)
    assert short.name == "press"
    with pytest.raises(EdgeError, match="more than 64 samples"):
        train_fleet(InProcessFleet([short]), order)


def test_the_domain_of_the_facts_is_the_subjects(tmp_path: Path):
    """Facts of other domains take no part."""
    (path,) = teach_homes(tmp_path, ("north",))
    assert set(open_home_device(path, SUBJECT).facts.domains) == {DOMAIN}
