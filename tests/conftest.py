"""Fixtures and hooks of all tests."""

from __future__ import annotations

import os
from pathlib import Path

# One thread per process: several test processes share the cores, and more threads wait for each
# other.  Set before numpy loads, and inherited by the daemons that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from tests import suite

# The time of one example depends on the machine and says nothing; the examples are always the same,
# so that a failure seen once is seen again.
settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("house")


TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the smoke set, and let what fails fast run first."""
    for item in items:
        if suite.is_smoke(_name(item), getattr(item, "originalname", item.name)):
            item.add_marker(pytest.mark.smoke)
    items.sort(key=lambda item: suite.place(_name(item)))


def _name(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).as_posix() if TESTS in item.path.parents else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three workers for two cores: half of their time tests wait for daemons and timers."""
    cores = len(os.sched_getaffinity(0))
    return cores + cores // 2


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Say before a run of everything how long it takes, with -q as well."""
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    chosen = config.option.markexpr or config.option.keyword or config.option.collectonly
    if reporter is None or not whole or chosen or hasattr(config, "workerinput"):
        return
    alone = config.option.numprocesses is None if hasattr(config.option, "numprocesses") else True
    reporter.write_line(
        f"The whole suite takes up to {suite.MINUTES} minutes on two idle cores with -n auto"
        + (", and about twice as long in one process as here." if alone else ".")
    )
    reporter.write_line(
        f"Fast tests run first. `pytest -m smoke` checks the core promises in"
        f" {suite.SMOKE_SECONDS} s."
    )


@pytest.fixture(scope="session")
def source() -> Path:
    """The source tree: `AURICLE_SOURCE`, where the tests run on an installed wheel from a copy."""
    return Path(os.environ.get("AURICLE_SOURCE", Path(__file__).parent.parent)).resolve()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The data that cannot be committed: `AURICLE_DATA`, else the test is skipped."""
    folder = os.environ.get("AURICLE_DATA")
    if not folder:
        pytest.skip("needs the data that AURICLE_DATA names, and it is not set")
    return Path(folder)
