from __future__ import annotations

from pathlib import Path

import pytest

from edge import EdgeError
from edge.sim.scenarios import Scenario, expand_variants, load_scenario, parse_scenario

SMALL = {
    "title": "small",
    "domains": {"a": {"source": "mnist"}},
    "phases": [{"domain": "a", "enrol": 5}],
}


def changed(**changes):
    """The small scenario with some keys changed."""
    return SMALL | changes


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (changed(phase=[]), "phases"),
        (changed(device={"windw": 3}), "window"),
        (changed(domains={"a": {"source": "mnist", "corruption": []}}), "corruptions"),
        (changed(faults={"clock_jumps": 0.1}), "clock_jump"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(content, hint) -> None:
    """A misspelt key names the key that was meant."""
    with pytest.raises(EdgeError) as caught:
        parse_scenario(content)
    assert f"did you mean {hint!r}" in caught.value.hint


DOMAIN = '[domains.a]\nsource = "mnist"\n'


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[links]\n[faults]\ncrash = 0.1", "[links] makes the scenario one of link loads"),
        (f'policy = "auto"\n[[phases]]\ndomain = "a"\n{DOMAIN}', "a comparison of policies"),
        (f'policy = "auto"\n[[phases]]\ndomain = "a"\n{DOMAIN}', "`adaptation` in [device]"),
        (f'policy = "auto"\n{DOMAIN}[device]\nwindow = 4', "`adaptation` in [device]"),
        (f"[strategies]\n{DOMAIN}[[forget]]\nat = 3", "a comparison of strategies"),
        (f"samples = 90\n{DOMAIN}", "a scenario runs a device; known at the top: title, dom"),
        (f"observations = 9\n{DOMAIN}", "it belongs elsewhere; known at the top: title, dom"),
    ],
)
def test_a_key_of_another_kind_gets_the_reason(tmp_path, text, hint) -> None:
    """The hint says what makes the file its kind, and lists the keys of that kind."""
    path = tmp_path / "kind.toml"
    path.write_text(f'title = "x"\n{text}\n', "utf-8")
    with pytest.raises(EdgeError, match="unknown field") as caught:
        load_scenario(path)
    assert hint in caught.value.hint
    assert "did you mean" not in caught.value.hint


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f'polcy = "auto"\n{DOMAIN}', "policy"),
        (f'protocl = "iid"\n{DOMAIN}', "protocol"),
        (f"[strategy]\norders = 2\n{DOMAIN}", "strategies"),
        ('[link]\ntopology = "nsfnet"', "links"),
        (f'policy = "auto"\n[[phase]]\ndomain = "a"\n{DOMAIN}', "phases"),
        (f'policy = "auto"\nsample = 90\n{DOMAIN}', "samples"),
    ],
)
def test_a_misspelt_key_of_any_kind_is_guessed(tmp_path, text, key) -> None:
    """The key that makes a file a comparison is guessed too, though without it the file is a
    scenario of a device."""
    path = tmp_path / "kind.toml"
    path.write_text(f'title = "x"\n{text}\n', "utf-8")
    with pytest.raises(EdgeError, match="unknown field") as caught:
        load_scenario(path)
    assert caught.value.hint.startswith(f"did you mean {key!r}?")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            '[strategies]\nstream = "releasess"',
            "did you mean 'releases'? known: classes, domains, nevis, releases",
        ),
        (
            '[[phases]]\ndomain = "a"\norder = "shuffle"\n[domains.a]\nsource = "mnist"',
            "did you mean 'shuffled'? known: by_class, shuffled",
        ),
        ('[links]\ntopology = "euro"', "did you mean 'euro28'? known: euro28, nsfnet"),
        (
            '[strategies]\n[domains.a]\nsource = "mnist"\ncorruptions = [{ kind = "nois" }]',
            "did you mean 'noise'? known: blur, brightness, contrast, drift, jpeg, noise",
        ),
    ],
)
def test_an_unknown_choice_is_refused_with_all_choices(tmp_path, text, hint) -> None:
    """A value that is none of a key's choices names them and the nearest, however deep the key."""
    path = tmp_path / "choice.toml"
    path.write_text(f'title = "x"\n{text}\n', "utf-8")
    with pytest.raises(EdgeError, match="Invalid enum value") as caught:
        load_scenario(path)
    assert caught.value.hint == hint


def test_an_unknown_key_is_compared_with_those_of_its_table(tmp_path) -> None:
    """Keys of other tables are no suggestion, and the hint lists those of this one."""
    path = tmp_path / "key.toml"
    path.write_text('title = "x"\n[strategies]\norderz = 2\n', "utf-8")
    with pytest.raises(EdgeError) as caught:
        load_scenario(path)
    assert caught.value.hint.startswith("did you mean 'orders'? known: names, stream, orders")


@pytest.mark.parametrize(
    "content",
    [
        changed(title=7),
        changed(device={"window": 0}),
        changed(device={"window": 100_000}),
        changed(faults={"crash": 1.5}),
        changed(phases=[{"domain": "b"}]),
        changed(phases=[]),
        changed(domains={}),
        changed(forget=[{"at": 3}]),
        changed(domains={"a": {"source": "mnist", "corruptions": [{"kind": "fog"}]}}),
    ],
)
def test_a_value_that_cannot_be_is_refused(content) -> None:
    """Wrong types, values out of range and contradictions are errors with a hint."""
    with pytest.raises(EdgeError) as caught:
        parse_scenario(content)
    assert caught.value.hint


def test_a_source_is_found_next_to_the_scenario_then_in_the_data_folder(
    tmp_path: Path, monkeypatch
) -> None:
    """Relative sources are looked for in two places, in order."""
    home, data = tmp_path / "here", tmp_path / "data"
    for folder in (home, data):
        folder.mkdir()
        (folder / "both.npz").touch()
    (data / "there.npz").touch()
    monkeypatch.setenv("AURICLE_DATA", str(data))
    (home / "s.toml").write_text(
        'title = "t"\n[domains.a]\nsource = "both.npz"\n[domains.b]\nsource = "there.npz"\n'
        '[domains.c]\nsource = "nowhere.npz"\n[[phases]]\ndomain = "a"\n'
    )
    scenario = load_scenario(home / "s.toml")
    assert isinstance(scenario, Scenario)
    domains = scenario.domains
    assert domains["a"].source == str(home / "both.npz")
    assert domains["b"].source == str(data / "there.npz")
    assert domains["c"].source == "nowhere.npz"


@pytest.mark.parametrize("content", [b"title = ", b"\xff\xfe", b'title = "t"\ntitle = "u"'])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    """Broken TOML is an error of ours, as is a missing file."""
    path = tmp_path / "s.toml"
    path.write_bytes(content)
    with pytest.raises(EdgeError):
        load_scenario(path)
    with pytest.raises(EdgeError):
        load_scenario(tmp_path / "missing.toml")


def test_variants_set_their_keys_and_are_checked_again() -> None:
    """A variant changes the value at its path; a path to nowhere and a wrong value are refused."""
    scenario = parse_scenario(
        changed(variants={"short": {"device.window": 8, "phases.0.enrol": 4}})
    )
    ((name, variant),) = expand_variants(scenario)
    assert (name, variant.device.window, variant.phases[0].enrol) == ("short", 8, 4)
    assert scenario.device.window == 16
    for changes in ({"phases.3.enrol": 1}, {"device.window": 0}, {"device.windw": 8}):
        with pytest.raises(EdgeError):
            expand_variants(parse_scenario(changed(variants={"bad": changes})))


def test_every_shipped_scenario_can_be_read(source: Path) -> None:
    """The examples are valid."""
    paths = sorted((source / "examples/scenarios").glob("*.toml"))
    assert [load_scenario(path).title for path in paths]
    assert len(paths) >= 10
