"""Which new names are probably typos of known ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.home.typos import KnownNames, count_edits, likely_typo
from tests.homes import learned_home, run, run_json

NAMES = st.text("abcd 1", max_size=7)


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("dgo", ("cat", "dog"), "dog"),
        ("ofice", ("office", "hall"), "office"),
        ("Dog", ("dog",), "dog"),
        (" dog", ("dog",), "dog"),
        ("nromal operaton", ("normal operation",), "normal operation"),
        ("dog", ("dog", "dgo"), ""),
        ("", ("a",), ""),
        ("b", ("a",), ""),
        ("up", ("us",), ""),
        ("pump-2", ("pump-1",), ""),
        ("2", ("1", "12"), ""),
        ("abnormal", ("normal",), ""),
        ("male", ("female",), ""),
        ("x" * 65, ("x" * 64,), ""),
    ],
)
def test_typos_are_distinguished_from_new_names(name, known, near):
    """One edit is a typo, and two in a long name; short names, numbers and opposites are not."""
    assert likely_typo(name, known) == near


def test_the_nearest_name_is_suggested():
    """Of several names the one with fewest edits is meant, then the first."""
    assert likely_typo("operatoin", ("operations", "operation")) == "operation"
    assert likely_typo("cat", ("car", "bat")) == "bat"


@given(NAMES, NAMES, NAMES)
def test_edits_are_counted(one, two, three):
    """Equal texts have no edits, order does not matter, and each insertion counts one."""
    assert count_edits(one, one) == 0
    assert count_edits(one, two) == count_edits(two, one)
    assert count_edits(one + three, one) == len(three)
    assert count_edits("ab" + one, "ba" + one) == 1
    assert abs(len(one) - len(two)) <= count_edits(one, two) <= max(len(one), len(two))


def test_names_are_warned_about_by_kind():
    """A label is compared with labels, a domain with domains."""
    known = KnownNames.of([("office", "dog"), ("hall", "cat")])
    (label, domain) = known.warnings(label="dgo", domain="ofice")
    assert label.startswith("the label 'dgo' is new; did you mean 'dog'?")
    assert domain.startswith("the domain 'ofice' is new; did you mean 'office'?")
    assert not list(known.warnings(label="office", domain="dog"))


def test_without_a_terminal_nothing_waits(tmp_path):
    """Learning, labelling and correcting warn of a typo on standard error and continue; with --json
    the result contains the warning too."""
    home = learned_home(tmp_path / "home")
    assert run("encoder", "columns", home / "table.csv", "--home", home).exit_code == 0
    result = run("relabel", "--home", home, "--label", "a", "--to-label", "normal")
    assert "warning" not in result.stderr
    table = tmp_path / "more.csv"
    table.write_text("label,x0,x1,x2,x3,x4,x5,x6,x7\nnormla,1,2,3,4,5,6,7,8\n", "utf-8")
    words = ("learn", table, "--home", home, "--domain", "hal")
    result = run(*words)
    assert result.exit_code == 0
    for warning in (
        "the label 'normla' is new; did you mean 'normal'?",
        "the domain 'hal' is new; did you mean 'hall'?",
    ):
        assert result.stderr.count(warning) == 1
    found = run_json("learn", _other(table), "--home", home, "--domain", "halls")["warnings"]
    assert [one.partition(";")[0] for one in found] == ["the domain 'halls' is new"]
    result = run("relabel", "--home", home, "--label", "b", "--to-label", "Normal")
    assert result.exit_code == 0
    assert "the label 'Normal' is new; did you mean" in result.stderr


def _other(table):
    table.write_text("label,x0,x1,x2,x3,x4,x5,x6,x7\nnormal,9,2,3,4,5,6,7,8\n", "utf-8")
    return table
