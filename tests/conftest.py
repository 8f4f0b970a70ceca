"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The time of one example depends on the machine and says nothing; the examples are always the same,
# so that a failure seen once is seen again.
settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("house")


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
