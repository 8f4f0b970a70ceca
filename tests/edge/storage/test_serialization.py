from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.core.adaptors.record import AdaptorRecord
from edge.core.jobs import GrowthJob, GrowthResult
from edge.storage.serialization import (
    LazyArrays,
    pack_arrays,
    pack_data,
    unpack_arrays,
    unpack_data,
)
from tests.workers import a_job, a_record, grown


def test_a_job_comes_back_as_it_was():
    """Every field of a job round-trips, with its records and their arrays."""
    incumbent = a_record()
    job = a_job()
    job = GrowthJob(
        id=job.id,
        domain=job.domain,
        version=job.version,
        seed=job.seed,
        budget=job.budget,
        spans=job.spans,
        own=job.own,
        others=job.others,
        incumbent=incumbent,
        reusable=(a_record("attic", 4),),
    )
    made = unpack_data(pack_data(job), GrowthJob)
    assert (made.id, made.budget, made.spans) == (job.id, job.budget, job.spans)
    assert made.own.ids == job.own.ids
    assert made.own.features.tobytes() == job.own.features.tobytes()
    assert made.others.features.shape == (0, 8)
    assert made.incumbent is not None
    assert made.incumbent.digest == incumbent.digest
    assert made.reusable[0].digest == job.reusable[0].digest
    assert made.facts == job.facts


def test_a_result_comes_back_as_it_was():
    """Every field of a result round-trips, NaN included."""
    result = grown(a_job())
    made = unpack_data(pack_data(result), GrowthResult)
    assert made.record is not None
    assert result.record is not None
    assert made.record.digest == result.record.digest
    assert made.candidates == result.candidates
    nothing = GrowthResult(
        job_id="i", domain="d", record=None, reason="why", accuracy=math.nan, incumbent=math.nan
    )
    assert math.isnan(unpack_data(pack_data(nothing), GrowthResult).accuracy)


def test_arrays_that_are_read_late_are_packed():
    """A record whose arrays were not read yet is packed with them."""
    record = a_record()
    stowed = AdaptorRecord(
        domain=record.domain,
        version=record.version,
        blueprint=record.blueprint,
        arrays=LazyArrays(lambda: record.arrays),
        facts=record.facts,
        own=record.own,
        seed=record.seed,
        accuracy=record.accuracy,
        incumbent=record.incumbent,
    )
    assert unpack_data(pack_data(stowed), AdaptorRecord).digest == record.digest


@pytest.mark.parametrize(
    "array",
    [
        np.float32(3.5) * np.ones(()),
        np.zeros((0, 4), np.int64),
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.arange(5, dtype=np.uint8)[::2],
    ],
    ids=["no axes", "empty", "transposed", "with steps"],
)
def test_any_array_keeps_shape_and_values(array):
    """Shape, dtype and values round-trip for any memory layout."""
    (made,) = unpack_arrays(pack_arrays({"x": array})).values()
    assert (made.shape, made.dtype) == (array.shape, array.dtype)
    assert np.array_equal(made, array)


def test_objects_are_not_packed():
    """Only plain values and arrays are packed, never objects that need code to restore."""
    with pytest.raises(TypeError, match="plain values and arrays"):
        pack_data((object(),))


GOOD = pack_data(grown(a_job()))


@settings(max_examples=200)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.integers(0, len(GOOD) - 1).map(lambda end: GOOD[:end]),
        st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)).map(
            lambda hit: GOOD[: hit[0]] + bytes([hit[1]]) + GOOD[hit[0] + 1 :]
        ),
    )
)
def test_damaged_bytes_are_values_or_value_errors(parcel):
    """Unpacking any bytes gives a value of the type or raises ValueError."""
    try:
        made = unpack_data(parcel, GrowthResult)
    except ValueError:
        return
    assert isinstance(made, GrowthResult)


def test_another_kind_is_refused():
    """Bytes of one type are not accepted as another."""
    with pytest.raises(ValueError, match="missing required field"):
        unpack_data(pack_data(a_record()), GrowthResult)
    with pytest.raises(ValueError, match="Input data was truncated"):
        unpack_data(pack_arrays({"x": np.zeros(3)}), GrowthResult)


def test_arrays_are_read_once_and_not_before():
    """Arrays are read at the first access, all of them, once."""
    reads = []

    def load() -> Mapping[str, NDArray[np.uint8]]:
        reads.append(1)
        return {"a": np.zeros(3, np.uint8), "b": np.ones(2, np.uint8)}

    arrays = LazyArrays(load)
    assert reads == []
    assert sorted(arrays) == ["a", "b"]
    assert len(arrays) == 2
    assert arrays["b"].tolist() == [1, 1]
    assert reads == [1]
