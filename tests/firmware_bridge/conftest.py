"""The C link and the C detector, compiled once for all tests that need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.bridge.board import build_host
from benchmarks.bridge.native import ALL_FILES, SANITIZERS, NativeLink, build, compiler


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C link behind a pipe, with sanitizers; skipped where there is no C compiler."""
    if compiler() is None:
        pytest.skip("the C link was not tested: neither gcc nor clang is installed")
    return build("driver", tmp_path_factory.mktemp("native"), SANITIZERS, files=ALL_FILES)


@pytest.fixture
def native(driver: Path) -> Iterator[NativeLink]:
    """A C link with session 22."""
    with NativeLink(driver, 22) as link:
        yield link


@pytest.fixture
def make_native(driver: Path) -> Iterator[Callable[[int], NativeLink]]:
    """Further C links, with sessions of one's choice."""
    with ExitStack() as made:
        yield lambda session: made.enter_context(NativeLink(driver, session))


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C detector that decides on files of vectors, with sanitizers; skipped as above."""
    found = compiler()
    if found is None:
        pytest.skip("the C detector was not tested: neither gcc nor clang is installed")
    return build_host(tmp_path_factory.mktemp("detector"), found)
