"""Learning is addition, forgetting is subtraction."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hdc
from hdc import ConceptError, DimensionError, FormatError
from hdc.geometry import fingerprint_of
from hdc.memory import PLANE
from tests.hdc.samples import TAPS, draw, learned


@given(order=st.permutations(range(12)), cut=st.integers(1, 11))
@settings(max_examples=25, deadline=None)
def test_any_order_and_grouping_gives_the_same_digest(order: list[int], cut: int) -> None:
    """The same samples give the same knowledge, however they arrive."""
    memory, facts = learned(count=12)
    again = hdc.Memory(memory.geometry)
    for domain, label, codes in facts:
        again.add(domain, label, codes[order[cut:]])
    for domain, label, codes in reversed(facts):
        again.add(domain, label, codes[order[:cut]])
    assert again.digest() == memory.digest()


@given(gone=st.sets(st.integers(0, 11), min_size=1))
@settings(max_examples=25, deadline=None)
def test_forgetting_equals_never_having_learned(gone: set[int]) -> None:
    """After removal the digest is that of a memory which never saw the samples."""
    memory, facts = learned(count=12)
    domain, label, codes = facts[0]
    memory.remove(domain, label, codes[sorted(gone)])
    never = hdc.Memory(memory.geometry)
    never.add(*facts[1])
    kept = sorted(set(range(12)) - gone)
    if kept:
        never.add(domain, label, codes[kept])
    assert memory.digest() == never.digest()
    assert memory.keys == never.keys


def test_merging_equals_learning_both() -> None:
    """Sums of two devices add up to those of one that saw everything."""
    memory, facts = learned()
    one, other = hdc.Memory(memory.geometry), hdc.Memory(memory.geometry)
    one.add(*facts[0])
    other.add(*facts[1])
    one.merge(other)
    assert one.digest() == memory.digest()


def test_held_out_distances_are_those_of_a_memory_without_the_sample() -> None:
    """The shortcut equals removing each sample in turn, for samples outside the fit."""
    memory, facts = learned(count=15)
    fresh = memory.geometry.project(draw(77, 6))
    memory.add("home", "cat", fresh)
    quick = memory.distances_held_out("home", "cat", fresh)
    for place in range(len(fresh)):
        without = memory.copy()
        without.remove("home", "cat", fresh[place])
        assert np.array_equal(without.distances(fresh[place])[0], quick[place])
    assert facts[0][0] == "home"


def test_fitted_samples_are_held_out_of_the_geometry_too() -> None:
    """Their plane distances grow by the excess that the fit stored."""
    memory, facts = learned(count=15)
    domain, label, codes = facts[0]
    excess = memory.geometry.fitted.excess_of(codes)
    assert excess.any()
    held = memory.distances_held_out(domain, label, codes)
    for place in range(len(codes)):
        without = memory.copy()
        without.remove(domain, label, codes[place])
        expected = without.distances(codes[place])[0]
        expected[:, PLANE] += excess[place]
        assert np.array_equal(held[place], expected)


def test_one_row_scores_as_it_does_in_a_batch() -> None:
    """The quick path of a single row gives the numbers of the batch path."""
    memory, _ = learned()
    codes = memory.geometry.project(draw(5, 20))
    alone = np.concatenate([memory.score(codes[place]) for place in range(len(codes))])
    assert np.array_equal(memory.score(codes), alone)


def test_a_copy_changes_alone() -> None:
    """Learning in a copy leaves the original as it was."""
    memory, facts = learned()
    before = memory.digest()
    memory.copy().remove(*facts[0])
    assert memory.digest() == before


def test_removing_an_absent_sample_changes_nothing() -> None:
    """A wrong removal raises and leaves the sums alone."""
    memory, facts = learned()
    before = memory.digest()
    stranger = memory.geometry.project(np.zeros((1, 60), dtype=np.uint8))
    with pytest.raises(ConceptError, match="removing"):
        memory.remove("away", "cat", stranger)
    with pytest.raises(ConceptError, match="removing"):
        memory.remove(*facts[0][:2], hdc.Codes.concat([facts[0][2], stranger]))
    assert memory.digest() == before


def bits_of(memory: hdc.Memory, *, negative: bool, count: int = 1) -> hdc.Codes:
    """Samples whose hypervectors are all -1, or all +1, in every dimension."""
    full = np.uint64(0xFFFFFFFFFFFFFFFF if negative else 0)
    words = np.full((count, memory.geometry.bits // 64), full)
    return hdc.Codes(words, np.zeros((count, memory.geometry.values), dtype=np.int64))


@pytest.mark.parametrize("negative", [True, False])
def test_removing_impossible_sums_is_refused(negative: bool) -> None:
    """Impossible sums are refused: more set bits than samples, or fewer than zero."""
    memory = hdc.Memory(hdc.identity_geometry(60, TAPS, 5, bits=128))
    memory.add("home", "cat", bits_of(memory, negative=negative, count=3))
    before = memory.digest()
    with pytest.raises(ConceptError, match="removing"):
        memory.remove("home", "cat", bits_of(memory, negative=not negative))
    with pytest.raises(ConceptError, match="removing"):
        memory.remove("home", "cat", bits_of(memory, negative=negative, count=4))
    assert memory.digest() == before


def test_the_last_sample_leaves_no_remainder() -> None:
    """Where a concept ends, its coordinates must be gone too, or the sample was another."""
    memory, _ = learned()
    lone = memory.geometry.project(draw(1, 1))
    memory.add("away", "cat", lone)
    before = memory.digest()
    with pytest.raises(ConceptError, match="removing"):
        memory.remove("away", "cat", hdc.Codes(lone.bits, lone.values + 1))
    assert memory.digest() == before
    memory.remove("away", "cat", lone)
    assert ("away", "cat") not in memory.keys


def test_as_many_samples_as_come_are_counted() -> None:
    """Bits of more samples than a byte counts add up exactly."""
    memory = hdc.Memory(hdc.identity_geometry(60, TAPS, 5, bits=128))
    memory.add("home", "cat", bits_of(memory, negative=True, count=1000))
    packed = memory.pack()
    assert packed["counts"].tolist() == [1000]
    assert set(packed["ones"].ravel().tolist()) == {1000}


def test_a_concept_does_not_score_its_only_sample() -> None:
    """Held out, the only sample of a concept has the mean distance."""
    memory, _ = learned()
    lone = memory.geometry.project(draw(1, 1))
    memory.add("away", "cat", lone)
    held = memory.distances_held_out("away", "cat", lone)
    column = memory.keys.index(("away", "cat"))
    assert np.array_equal(held[0, column], memory.geometry.scales[:, 0])


def test_the_digest_covers_the_geometry() -> None:
    """Empty memories of two geometries have two digests."""
    geometries = (hdc.identity_geometry(60, TAPS, seed, bits=128) for seed in (1, 2))
    assert len({hdc.Memory(geometry).digest() for geometry in geometries}) == 2


@pytest.mark.parametrize("count", [20, 700])
def test_the_nearest_by_bits_come_in_the_order_of_their_columns(count: int) -> None:
    """The columns found are ascending, the nearest one among them, however many there are."""
    memory = hdc.Memory(hdc.identity_geometry(60, TAPS, 5, bits=1024))
    for number in range(count):
        memory.add("home", f"{number:03}", memory.geometry.project(draw(number, 1, number)))
    for number in (0, 7, count - 1):
        found = memory.nearest_by_bits(memory.geometry.project(draw(number, 1, number)), 12)
        assert found.tolist() == sorted(set(found.tolist()))
        assert len(found) == 12
        assert number in found


def test_packing_survives() -> None:
    """Unpacked arrays are the same memory, also an empty one; damaged ones are refused."""
    memory, _ = learned()
    packed = memory.pack()
    assert hdc.Memory.unpack(memory.geometry, packed).digest() == memory.digest()
    empty = hdc.Memory(memory.geometry)
    assert hdc.Memory.unpack(memory.geometry, empty.pack()).digest() == empty.digest()
    with pytest.raises(FormatError, match="memory"):
        hdc.Memory.unpack(memory.geometry, packed | {"ones": packed["ones"][:, :64]})
    for damaged in ({"counts": np.asarray(1)}, {"counts": np.asarray([np.inf, 1])}):
        with pytest.raises(FormatError, match="memory"):
            hdc.Memory.unpack(memory.geometry, packed | damaged)


def test_codes_and_memories_of_another_geometry_are_refused() -> None:
    """Codes of other width and memories of another seed don't mix."""
    memory, _ = learned()
    other = hdc.identity_geometry(60, TAPS, 5, bits=1024)
    with pytest.raises(DimensionError, match="memory expects"):
        memory.add("home", "cat", other.project(draw(1, 2)))
    with pytest.raises(ConceptError, match="one geometry"):
        memory.merge(hdc.Memory(other))


@given(
    changes=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 11), st.booleans()),
        min_size=1,
        max_size=25,
    )
)
@settings(max_examples=40, deadline=None)
def test_updated_prototypes_are_those_of_the_sums(
    changes: list[tuple[str, str, int, bool]],
) -> None:
    """After any changes, with comparisons and copies in between, distances and keys are those of
    a memory that is built from the same samples at once."""
    memory, facts = learned(count=12)
    codes = facts[0][2]
    made, held = hdc.Memory(memory.geometry), set[tuple[str, str, int]]()
    for domain, label, row, compares in changes:
        one = (domain, label, row)
        change = made.remove if one in held else made.add
        held ^= {one}
        change(domain, label, codes[[row]])
        if compares and held:
            made.copy().distances(codes[:2])
            made.distances(codes[:1])
    fresh = hdc.Memory(memory.geometry)
    for domain, label, row in sorted(held):
        fresh.add(domain, label, codes[[row]])
    assert made.keys == fresh.keys
    assert dict(made.parts) == dict(fresh.parts)
    assert made.distances(codes).tolist() == fresh.distances(codes).tolist()
    assert made.digest() == fresh.digest()


@pytest.mark.parametrize("count", [1, 2, 255, 256, 300])
def test_the_digest_is_that_of_the_packed_sums(count: int) -> None:
    """Counts that take one byte or two give the digest of the arrays that `pack` returns."""
    memory = hdc.Memory(hdc.identity_geometry(4, ((0, 4),), seed=1, bits=64))
    random = np.random.default_rng(count)
    memory.add("d", "a", memory.geometry.project(random.integers(0, 256, (count, 4), np.uint8)))
    packed = memory.geometry.fingerprint + fingerprint_of(memory.pack())
    assert memory.digest() == hashlib.sha256(packed.encode()).hexdigest()
    assert memory.pack()["ones"].dtype == np.int32


def test_keys_stay_the_same_object_while_the_concepts_do() -> None:
    """A sample more of a known concept keeps the tuple of keys, which caches compare."""
    memory, facts = learned(count=12)
    domain, label, codes = facts[0]
    before = memory.keys
    memory.remove(domain, label, codes[:1])
    assert memory.keys is before
    memory.add(domain, "new", codes[:1])
    assert memory.keys is not before


def test_of_equally_near_concepts_the_first_are_chosen() -> None:
    """Concepts of the same sample are equally near: which are shortlisted depends on no sort."""
    geometry = hdc.identity_geometry(60, TAPS, 1, bits=128)
    memory, one = hdc.Memory(geometry), geometry.project(draw(0, 1))
    for label in range(600):
        memory.add("home", f"{label:03d}", one)
    assert memory.nearest_by_bits(one, 12).tolist() == list(range(12))


def test_huge_counts_keep_the_majority() -> None:
    """A memory that is doubled until each concept counts 2^30 samples has the same prototypes."""
    memory, facts = learned(count=16)
    code = facts[0][2][0]
    before = memory.distances(code).tolist()
    for _ in range(26):
        memory.merge(memory.copy())
    assert set(memory.counts.values()) == {2**30}
    assert memory.distances(code).tolist() == before
