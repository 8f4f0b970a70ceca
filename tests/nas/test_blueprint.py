import pytest

from nas import Blueprint


@pytest.mark.parametrize(
    ("blueprint", "text"),
    [
        (
            Blueprint(kind="bottleneck", taps=(0, 2), width=8, rank=4, activation="relu", depth=2),
            "bottleneck: taps 0+2, width 8, rank 4, relu, depth 2",
        ),
        (Blueprint(kind="none", taps=(1,)), "none: taps 1"),
        (Blueprint(kind="kernel", taps=(0, 1), width=480), "kernel: taps 0+1, 480 landmarks"),
    ],
)
def test_the_text_of_a_blueprint_omits_defaults(blueprint, text):
    """The kind comes first, then the fields that differ from their defaults."""
    assert str(blueprint) == text
