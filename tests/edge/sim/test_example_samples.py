from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from edge import EdgeError
from edge.sim import PolicyScenario, StrategyScenario, load_scenario
from edge.sim.adaptation import compare_policies
from edge.sim.strategies import compare_strategies
from tests.edge.sim.strategies.tiny_strategies import TINY

RATE_HZ = 16_000
STRATEGIES = '[strategies]\nstream = "domains"\n'
POLICY = 'policy = "mean"\nprotocol = ["iid", "severity 5 iid"]\n'


def write_table(folder: Path, place: str, shift: float, rows: int = 40, bad: str = "") -> None:
    """A table of two readings of a machine that runs or is stuck."""
    random = np.random.default_rng(int(shift))
    lines = ["speed,current,label,domain"]
    for state, centre in (("runs", (100, 2)), ("stuck", (10, 9))):
        for one in random.normal(0, 1, (rows, 2)):
            speed, current = centre + one + shift
            lines.append(f"{speed:.3f},{current:.3f},{state},{place}")
    (folder / f"{place}.csv").write_text("\n".join([*lines, bad]).rstrip() + "\n", "utf-8")


def write_sounds(folder: Path, place: str, gain: float) -> None:
    """Tones of two pitches, as FOLDER/<label>/<sound>.wav."""
    random = np.random.default_rng(3)
    for label, pitch in (("low", 300), ("high", 1_900)):
        (folder / place / label).mkdir(parents=True)
        for at in range(12):
            phase = 2 * np.pi * pitch * np.arange(RATE_HZ) / RATE_HZ + random.random()
            heard = gain * np.sin(phase) + random.normal(0, 0.02, RATE_HZ)
            with wave.open(str(folder / place / label / f"{at}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE_HZ)
                file.writeframes((heard * 20_000).astype("<i2").tobytes())


def written(folder: Path, kind: str, model: str, *domains: str) -> Path:
    """A scenario of some domains."""
    path = folder / "own.toml"
    tables = "".join(f"[domains.d{at}]\n{domain}\n" for at, domain in enumerate(domains))
    path.write_text(f'title = "Own"\n{kind}[encoder]\nmodel = "{model}"\n{tables}', "utf-8")
    return path


def test_strategies_learn_from_tables(tmp_path) -> None:
    """A .csv for each place: every column but the annotations is a feature."""
    for place, shift in (("here", 0), ("there", 3)):
        write_table(tmp_path, place, shift)
    path = written(tmp_path, STRATEGIES, "vector", 'source = "here.csv"', 'source = "there.csv"')
    scenario = load_scenario(path)
    assert isinstance(scenario, StrategyScenario)
    (stream,) = compare_strategies(scenario, kinds=TINY).streams
    assert stream.tasks == ("d0", "d1")
    assert stream.lines[0].final > 90


def test_one_table_holds_several_domains(tmp_path) -> None:
    """`where` selects the rows of a domain by the columns that say where they come from."""
    write_table(tmp_path, "here", 0)
    write_table(tmp_path, "there", 3, rows=30)
    one, other = ((tmp_path / f"{name}.csv").read_text("utf-8") for name in ("here", "there"))
    (tmp_path / "both.csv").write_text(one + other.partition("\n")[2], "utf-8")
    tables = [f'source = "both.csv"\nwhere = {{ domain = "{name}" }}' for name in ("here", "there")]
    scenario = load_scenario(written(tmp_path, STRATEGIES, "vector", *tables))
    assert isinstance(scenario, StrategyScenario)
    (one,) = compare_strategies(scenario, kinds=TINY).outcomes[:1]
    assert len(one.matrix) == 2
    wrong = written(tmp_path, STRATEGIES, "vector", tables[0].replace("domain", "place"), tables[1])
    with pytest.raises(EdgeError, match="where names \\['place'\\]"):
        compare_strategies(_strategies(wrong), kinds=TINY)


def _strategies(path: Path) -> StrategyScenario:
    scenario = load_scenario(path)
    assert isinstance(scenario, StrategyScenario)
    return scenario


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ("1,x,runs,here", "here.csv:82"),
        ("1,2,,here", "expected a label, found none"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, bad, found) -> None:
    """No row is dropped in silence: the error names its line."""
    write_table(tmp_path, "here", 0, bad=bad)
    write_table(tmp_path, "there", 3)
    path = written(tmp_path, STRATEGIES, "vector", 'source = "here.csv"', 'source = "there.csv"')
    with pytest.raises(EdgeError, match=found):
        compare_strategies(_strategies(path), kinds=TINY)


def test_strategies_and_policies_learn_from_sounds(tmp_path) -> None:
    """A folder of WAV files by class for each place, with an encoder of sounds; corruptions, which
    there are none of, make no stream and are refused where a domain names them."""
    for place, gain in (("here", 1.0), ("there", 0.3)):
        write_sounds(tmp_path, place, gain)
    sources = ('source = "here"', 'source = "there"')
    (stream,) = compare_strategies(
        _strategies(written(tmp_path, STRATEGIES, "log_mel", *sources)), kinds=TINY
    ).streams
    assert stream.lines[0].final > 90
    policies = load_scenario(written(tmp_path, POLICY, "log_mel", *sources))
    assert isinstance(policies, PolicyScenario)
    report = compare_policies(policies)
    assert set(report.lines[0].accuracies) == {"iid"}
    assert "needs samples that corruptions can change" in report.remarks[0]
    noisy = f'{sources[0]}\ncorruptions = [{{ kind = "noise" }}]'
    with pytest.raises(EdgeError, match="takes sounds"):
        compare_strategies(
            _strategies(written(tmp_path, STRATEGIES, "log_mel", noisy, sources[1])), kinds=TINY
        )
