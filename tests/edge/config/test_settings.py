from __future__ import annotations

import os
import tomllib

import pytest

from edge.config.settings import SETTINGS, TEMPLATE, Settings, nearest_key, read_settings
from edge.core.errors import ConfigError
from tests.homes import new_home, run


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("garbage [[", "Expected"),
        pytest.param("a = " + "[" * 50_000, "recursion", id="deep"),
        ('[encoder]\ncrad = "x"\n', "unknown field"),
        ("[knowledge]\n", "encoder"),
        ('[encoder]\ncard = "x"\nthreads = "two"\n', "int"),
        ('[encoder]\ncard = "x"\n[detector]\nfalse_alarm_rate = 3.0\n', "below 0.5"),
        ('[encoder]\ncard = "x"\n[detector]\nwindow = 0\n', "window"),
        ('[encoder]\ncard = "x"\n[growth]\nbytes_max = 0\n', "bytes_max must be above 0"),
        ('[encoder]\ncard = "x"\n[growth]\nseconds_max = nan\n', "seconds_max must be above"),
        ('[encoder]\ncard = "x"\n[growth]\nlatency_ms_max = inf\n', "latency_ms_max must be"),
        ('[encoder]\ncard = "x"\n[growth]\nmemory_mib_max = 99\n', "must be 256 or more"),
        ('[encoder]\ncard = "x"\n[growth]\nmemory_max = 999\n', "unknown field"),
        ('[encoder]\ncard = "x"\n[forecast]\ndetector = "cusm"\n', "did you mean cusum"),
        ('[encoder]\ncard = "x"\n[streams.s]\nsource = "http"\ncolumns = ["a", "a"]\n', "2 times"),
        (
            '[encoder]\ncard = "x"\n[streams.s]\nsource = "http"\ncolumns = ["a"]\nformat="image"',
            "an image has no columns",
        ),
    ],
)
def test_invalid_settings_are_refused(tmp_path, text, words):
    """Invalid settings raise ConfigError with a hint."""
    (tmp_path / "auricle.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=words) as caught:
        read_settings(tmp_path)
    assert caught.value.hint


def test_a_pipe_as_settings_is_refused(tmp_path):
    """A pipe in place of the settings is refused at once, without blocking."""
    os.mkfifo(tmp_path / "auricle.toml")
    with pytest.raises(ConfigError, match="not a file"):
        read_settings(tmp_path)


def test_a_mistyped_key_is_guessed(tmp_path):
    """The hint names the closest known key."""
    (tmp_path / "auricle.toml").write_text('[encoder]\ncrad = "x"\n', "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_settings(tmp_path)
    assert caught.value.hint == "did you mean card?"
    assert "known keys" in nearest_key("unknown field `zzzzzz`")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            '[streams.in]\nsource = "foldr"\n',
            "did you mean folder? known values: camera, folder, http, modbus, opcua, port",
        ),
        ('[streams.in]\nsource = "stdin"\nformat = "raw"\n', "known values: csv, json"),
        (
            '[streams.ok]\nsource = "stdin"\n[streams."a.b"]\nsource = "http"\nkind = "serie"\n',
            "did you mean series? known values: sample, series",
        ),
        ('[device]\nlog_level = "inf"\n', "did you mean info?"),
        ('[streams.in]\nkind = "series"\n', "add source, one of: camera, folder,"),
        ('[streams.in]\nsource = "folder"\n', "add path"),
        ("[streams]\nin = 3\n", "correct the value"),
    ],
)
def test_known_values_are_listed(tmp_path, text, hint):
    """The command line answers an invalid value with the allowed ones and the closest, a missing
    key with its name."""
    home = new_home(tmp_path / "home")
    with (home / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write(text)
    result = run("inspect", "--home", home)
    assert result.exit_code == 1
    assert hint in " ".join(result.output.split())


def test_a_key_of_another_kind_of_stream_is_recognised(tmp_path):
    """The hint names the stream and the kind that has the key."""
    text = (
        '[encoder]\ncard = "x"\n[streams.well]\nsource = "http"\n'
        '[streams.door]\nsource = "folder"\npath = "in"\nshape = [2]\n'
    )
    (tmp_path / "auricle.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"\$\.streams\.door") as caught:
        read_settings(tmp_path)
    assert caught.value.hint == 'only source = "http" or "topic" has it'


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("", "random"),
        ('[fleet]\nname = "shops"\ndevices = ["b"]\n', "newest"),
        ('[fleet]\nname = "shops"\ndevices = ["b"]\n[knowledge]\nkeep = "mixed"\n', "mixed"),
    ],
    ids=["alone", "in a fleet", "chosen"],
)
def test_which_facts_stay_depends_on_the_fleet_unless_chosen(tmp_path, text, keep):
    """A uniform sample covers all of a long recording; in a fleet, whole cohorts leave in turn."""
    path = tmp_path / SETTINGS
    path.write_text(f'[encoder]\ncard = "card.toml"\n{text}', "utf-8")
    assert read_settings(tmp_path).config().keep == keep


def test_growth_keys_reach_the_core(tmp_path):
    """The limits of an adaptor are the core's budget; those of the worker stay outside the core."""
    text = (
        '[encoder]\ncard = "x"\n[growth]\nbytes_max = 9\noperations_max = 8\nlatency_ms_max = 7\n'
    )
    (tmp_path / "auricle.toml").write_text(text, "utf-8")
    budget = read_settings(tmp_path).config().budget
    assert (budget.nbytes, budget.operations, budget.latency_ms) == (9, 8, 7.0)


def test_a_new_home_names_the_switch_of_adaptation_with_its_default(tmp_path):
    """The file that `init` writes has the key, and changes nothing."""
    text = TEMPLATE.format(card='"card.toml"')
    (tmp_path / SETTINGS).write_text(text, "utf-8")
    assert tomllib.loads(text)["adaptation"] == {"policy": "auto"}
    made = read_settings(tmp_path)
    assert made == Settings(encoder=made.encoder)


def test_forecast_keys_reach_the_core(tmp_path):
    """Horizons and periods reach the core, and invalid ones are refused."""
    keys = "enabled = false\nhorizons = [2, 4]\nperiods = { s = 24 }"
    text = f'[encoder]\ncard = "x"\n[forecast]\n{keys}\n'
    (tmp_path / "auricle.toml").write_text(text, "utf-8")
    config = read_settings(tmp_path).config()
    assert (config.forecast, config.horizons, config.periods) == (False, (2, 4), (("s", 24),))
    (tmp_path / "auricle.toml").write_text(text.replace("[2, 4]", "[4, 2]"), "utf-8")
    with pytest.raises(ConfigError, match="ascending"):
        read_settings(tmp_path)
