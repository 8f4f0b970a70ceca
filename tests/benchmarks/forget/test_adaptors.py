"""The benchmark of adaptors that a forget ends."""

from benchmarks.forget import adaptors


def test_a_kernel_of_digits_is_made_again_as_on_a_twin() -> None:
    """One fact of one domain ends one adaptor; its successor is that of a twin, and the accuracy
    moves by less than half a point."""
    found = adaptors.forget_kind(adaptors.digits(0), "plain", adaptors.KINDS["kernel"])
    assert found["adaptors_ended_by_one_fact"] == 1
    assert found["bit_equal_to_twin"] == 1
    assert found["provisional_gap_points"] <= 0.5
    assert found["accuracy_provisional"] > 0.9
