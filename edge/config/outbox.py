"""The section [outbox] of auricle.toml."""

import math

import msgspec


class OutboxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[outbox]: how much waits for the broker, how long, and how it is written and sent again."""

    bytes_max: int = 64 << 20
    age_s_max: float = 7 * 86_400.0
    memory_bytes_max: int = 4 << 20
    commit_interval_s: float = 1.0
    commit_count: int = 1_000
    replay_per_s: float = 200.0

    def __post_init__(self) -> None:
        """Raise ValueError for a value that cannot be used."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0, found {value}")
