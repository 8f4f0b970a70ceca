"""Searches of worlds: teachers, the box, what counts as found, and the files."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn.mixture")

from edge.core.errors import ConfigError
from edge.sim.checkers import BrokenPromiseError
from edge.sim.curriculum.alp_gmm import FIT_EVERY, AlpGmmTeacher
from edge.sim.curriculum.box import PARAMETERS, world_at
from edge.sim.curriculum.episodes import REMEMBERED_MAX, Episode, RememberedModel, judge
from edge.sim.curriculum.progress import FIRST, LearningProgress
from edge.sim.curriculum.search import (
    CurriculumReport,
    scenario_text,
    search_worlds,
    summarise_search,
)
from edge.sim.curriculum.teachers import TEACHERS, OracleTeacher
from edge.sim.scenarios import Scenario, load_scenario, parse_scenario
from tests.homes import run as cli

SIZE = len(PARAMETERS)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """A scenario of one domain with three classes of vectors."""
    random = np.random.default_rng(5)
    labels = np.repeat(np.arange(3), 60)
    rows = random.normal(size=(3, 16))[labels] * 4 + random.normal(size=(180, 16))
    path = tmp_path_factory.mktemp("vectors") / "vectors.npz"
    np.savez(path, features=rows.astype(np.float32), labels=labels)
    return parse_scenario(
        {
            "title": "vectors",
            "encoder": {"model": "vector"},
            "device": {"false_alarm_rate": 0.1},
            "domains": {"plain": {"source": str(path), "test": 15}},
            "phases": [{"domain": "plain", "enrol": 24, "observations": 6}],
        }
    )


def episode(point: float, reward: float, defect: str = "") -> Episode:
    """An episode on the diagonal of the box."""
    return Episode(
        point=np.full(SIZE, point), reward=reward, cell=(int(reward * 5),), defect=defect
    )


@pytest.mark.parametrize("name", list(TEACHERS))
def test_teachers_stay_in_the_box_and_follow_their_seed(name: str) -> None:
    """All proposals are in the box, and depend on seed and rewards alone."""

    def proposals(seed: int) -> np.ndarray:
        teacher, found = TEACHERS[name](3, seed), []
        for _ in range(FIT_EVERY + 15):
            found.append(teacher.propose())
            teacher.learn(found[-1], float(found[-1].mean() > 0.5))
        return np.array(found)

    first = proposals(1)
    assert first.shape == (FIT_EVERY + 15, 3)
    assert (first >= 0).all()
    assert (first <= 1).all()
    assert np.array_equal(first, proposals(1))
    assert not np.array_equal(first, proposals(2))


def test_alp_gmm_draws_where_the_reward_changes() -> None:
    """With progress in one corner of the box only, most worlds drawn later lie in it; a random
    teacher draws one in four there."""
    shares = {}
    for name, kind in TEACHERS.items():
        random, teacher = np.random.default_rng(0), kind(2, 3)
        points = []
        for _ in range(8 * FIT_EVERY):
            point = teacher.propose()
            corner = bool((point > 0.5).all())
            teacher.learn(point, float(random.random()) if corner else 0.0)
            points.append(corner)
        shares[name] = np.mean(points[2 * FIT_EVERY :])
    assert shares["alp-gmm"] > 0.5
    assert shares["random"] < 0.35


def test_without_any_progress_alp_gmm_goes_on() -> None:
    """Equal rewards give no weights, and worlds are still proposed."""
    teacher = AlpGmmTeacher(2, 1)
    for _ in range(2 * FIT_EVERY):
        teacher.learn(teacher.propose(), 0.5)
    assert teacher.propose().shape == (2,)


def test_the_oracle_moves_on_after_good_worlds_only() -> None:
    """Its window starts in the easy corner and leaves it when rewards are high."""
    lucky, unlucky = OracleTeacher(2, 1), OracleTeacher(2, 1)
    for _ in range(60):
        lucky.learn(lucky.propose(), 1.0)
        unlucky.learn(unlucky.propose(), 0.2)
    assert lucky.propose().min() > 0.7
    assert unlucky.propose().max() < 0.2


def test_progress_is_the_difference_from_the_nearest_earlier_world() -> None:
    """The first worlds have none."""
    progress = LearningProgress()
    for number in range(FIRST + 1):
        assert progress.add(np.array([number / 10]), 0.0) == 0
    assert progress.add(np.array([0.9]), 0.7) == pytest.approx(0.7)
    assert progress.add(np.array([0.88]), 0.9) == pytest.approx(0.2)


def test_the_corners_of_the_box_are_scenarios(base: Scenario) -> None:
    """The easy corner has no faults, no forget and all labels; the hard one has all of them."""
    easy, hard = (world_at(base, np.full(SIZE, place)) for place in (0.0, 1.0))
    assert easy.forget == ()
    assert easy.faults.crash == easy.faults.lost == 0
    assert easy.phases[-1].label_fraction == 1
    assert easy.phases[-1].domain == "shifted"
    assert hard.faults.crash > 0
    assert len(hard.forget) == 1
    assert hard.device.facts_per_concept == 1
    assert [one.severity for one in hard.domains["shifted"].corruptions] == [1]


def test_a_world_survives_its_file(base: Scenario, tmp_path: Path) -> None:
    """A found world that is written and read again is the same scenario."""
    for place in (0.0, 0.37, 1.0):
        world = world_at(base, np.full(SIZE, place))
        path = tmp_path / "world.toml"
        path.write_text(scenario_text(world), "utf-8")
        assert load_scenario(path) == world


def test_broken_promises_and_unexpected_errors_are_defects() -> None:
    """Both end an episode with their text; a wrong scenario ends the search."""

    def broken():
        raise BrokenPromiseError("simulating: a fact is lost", "report it")

    def wrong():
        raise ConfigError("too few samples", "draw fewer")

    def unexpected():
        return int("one")

    assert judge(np.zeros(SIZE), broken).defect.startswith("simulating: a fact is lost")
    found = judge(np.zeros(SIZE), unexpected)
    assert found.defect.startswith("ValueError in test_curriculum.py, unexpected")
    assert found.reward == 0
    with pytest.raises(ConfigError):
        judge(np.zeros(SIZE), wrong)


def test_cliffs_are_drops_between_neighbours() -> None:
    """The lower of two near worlds is a cliff if it is lower by enough; far ones are none, and a
    defect is no cliff."""
    found = [episode(0.1, 0.9), episode(0.12, 0.4), episode(0.9, 0.0), episode(0.88, 0.1)]
    line = summarise_search("random", [*found, episode(0.1, 0.0, "lost"), episode(0.5, 0, "lost")])
    assert line.cliffs == (1,)
    assert line.defects == {"lost": 4}
    assert line.cells == 3


def test_the_command_line_keeps_found_worlds_that_run(
    base: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auricle simulate --curriculum` writes the worlds it found, `auricle simulate FILE` runs one
    of them, and a second search finds the same."""
    from edge.sim.curriculum import search

    monkeypatch.setattr(search, "CLIFF", 0.02)
    monkeypatch.setattr(search, "NEIGHBOURS", 1.0)
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(scenario_text(base), "utf-8")
    arguments = ("simulate", scenario, "--curriculum", "--seed", "3", "--json", "--out")
    few = partial(search_worlds, episodes=4, teachers=("random",))
    monkeypatch.setattr("edge.sim.curriculum.search_worlds", few)
    first = cli(*arguments, tmp_path / "one")
    assert first.exit_code == 0, first.output
    found = json.loads(first.output)
    assert found["worlds"]
    again = cli(*arguments, tmp_path / "two")
    assert json.loads(again.output)["curricula"] == found["curricula"]
    ran = cli("simulate", found["worlds"][0], "--seed", "3", "--out", tmp_path / "run")
    assert ran.exit_code == 0, ran.output
    content = json.loads((tmp_path / "one" / "curriculum.json").read_text("utf-8"))
    assert len(content["curricula"][0]["worlds"]) == 4


def test_an_interrupted_search_goes_on(
    base: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finished worlds are not run again, also after a line that was cut short, and the result is
    that of a search in one go; nothing but the result stays."""
    from edge.sim.curriculum.episodes import EpisodeRunner

    few = partial(search_worlds, base, 3, episodes=4, teachers=("random", "alp-gmm"))
    whole = few(tmp_path / "whole")
    run = EpisodeRunner.__call__
    ran: list[np.ndarray] = []

    def counted(self, world, point):
        if len(ran) == 5:
            raise KeyboardInterrupt
        ran.append(point)
        return run(self, world, point)

    monkeypatch.setattr(EpisodeRunner, "__call__", counted)
    with pytest.raises(KeyboardInterrupt):
        few(tmp_path / "cut")
    (kept,) = (tmp_path / "cut").glob("episodes-*.jsonl")
    kept.write_bytes(kept.read_bytes()[:-7])
    ran.clear()
    found = few(tmp_path / "cut")
    assert len(ran) == 4  # Eight, less four whole lines.
    assert summaries(found) == summaries(whole)
    texts = [
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("whole", "cut")
    ]
    assert texts[0] == texts[1]


def summaries(report: CurriculumReport) -> list[tuple[object, ...]]:
    """What a report says, for comparison."""
    return [
        (line.teacher, line.reward, line.cells, line.cliffs, dict(line.defects))
        for line in report.lines
    ]


def test_a_payload_is_encoded_once() -> None:
    """Worlds share samples: their features are kept, as many as the bound allows."""
    encoded = []

    class Counted:
        card = None

        def encode(self, payload):
            encoded.append(payload)
            return len(encoded)

    model = RememberedModel(Counted())  # type: ignore[arg-type]  # what it calls
    row = np.arange(4.0)
    assert model.encode(row) == model.encode(row.copy()) == 1
    assert model.encode(row.astype(np.float32)) == 2
    for number in range(REMEMBERED_MAX):
        model.encode(str(number).encode())
    assert model.encode(row) == len(encoded) == REMEMBERED_MAX + 3


def test_a_search_needs_a_scenario_that_runs_a_device(tmp_path: Path) -> None:
    """A scenario of link loads is refused with a hint."""
    links = tmp_path / "links.toml"
    links.write_text('title = "links"\n\n[links]\n', "utf-8")
    refused = cli("simulate", links, "--curriculum")
    assert refused.exit_code != 0
    assert "expected a scenario with phases" in refused.output


def test_a_search_reports_each_curriculum(base: Scenario) -> None:
    """Each of the table runs the same number of worlds."""
    report = search_worlds(base, episodes=2)
    assert [line.teacher for line in report.lines] == list(TEACHERS)
    assert [len(line.episodes) for line in report.lines] == [2, 2, 2]
    assert report.files == ()
