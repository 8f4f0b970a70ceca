"""Which forecasting network the series of a home use."""

from functools import partial
from pathlib import Path

from ..config import Settings
from ..core.forecasting import State
from ..storage import LazyArrays, Store, read_weights, shipped_weights, unpack_arrays


def choose_network(folder: Path, settings: Settings, store: Store) -> tuple[State, tuple[str, int]]:
    """Return the arrays of the network, and the publisher and counter of its bundle, if it came in
    one: the user's own comes first, then that of a bundle, then the shipped one.

    Only the user's own is read here: most homes have no series.  Raises StateError where it cannot
    be read.
    """
    own, brought = settings.forecast.weights, store.trials.network()
    if own:
        return read_weights(folder / own), ("", 0)
    if brought is None:
        return LazyArrays(shipped_weights), ("", 0)
    network = LazyArrays(partial(unpack_arrays, brought.body))
    return network, (brought.publisher, brought.counter)
