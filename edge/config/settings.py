"""The settings of a home: auricle.toml, read strictly.

docs/reference/config.md documents every key.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from ..core import Config, ConfigError
from ..core.forecasting import HORIZONS
from .bundles import BundleSettings
from .commands import CommandSettings
from .device import DeviceSettings, HttpSettings
from .fleet import FleetSettings
from .mqtt import MqttSettings
from .outbox import OutboxSettings
from .streams import StreamSettings

SETTINGS = "auricle.toml"

TEMPLATE = """\
# Settings of this auricle home; every key is documented in docs/reference/config.md.

[encoder]
# card: a shipped encoder's name, or the path of a card
card = {card}
threads = 1                # threads of the encoder

[knowledge]
file = "knowledge.db"      # the ledger, beside this file
facts_per_concept = 1000   # newest facts kept per (domain, label)

[detector]
false_alarm_rate = 0.01    # share of known samples, and windows, that may be called new
window = 16                # observations in a stream's drift window
seed = 1                   # of the projection; part of every digest

[growth]
bytes_max = 8388608        # of an adaptor with its head
operations_max = 10000000  # multiply-adds of both for a sample
latency_ms_max = 2.0       # of both for a sample, on this machine
memory_mib_max = 1024      # private data of the process that searches and trains
seconds_max = 120.0        # from the start of that process to its result

[candidates]
raw = false                # keep images and windows that are worth a label, to show them to people
"""

WORKER_MEMORY_MIB_MIN: Final = 256
"""Less than loading torch alone takes."""


class EncoderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[encoder]: card, a shipped name or a path; threads."""

    card: str
    threads: int = 1


class KnowledgeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[knowledge]: file, relative to the home; facts kept per concept."""

    file: str = "knowledge.db"
    facts_per_concept: int = 1000


class DetectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[detector]: false-alarm rate, window in observations, seed of the projection."""

    false_alarm_rate: float = 0.01
    window: int = 16
    seed: int = 1


class GrowthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[growth]: what an adaptor may take, and what the process that makes it may take."""

    bytes_max: int = 1 << 23
    operations_max: int = 10_000_000
    latency_ms_max: float = 2.0
    memory_mib_max: int = 1024
    seconds_max: float = 120.0

    def __post_init__(self) -> None:
        """Raise ValueError for a value that cannot be used."""
        for name in ("bytes_max", "operations_max", "latency_ms_max", "seconds_max"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0, found {value}")
        if self.memory_mib_max < WORKER_MEMORY_MIB_MIN:
            least = f"{WORKER_MEMORY_MIB_MIN} or more"
            raise ValueError(f"memory_mib_max must be {least}, found {self.memory_mib_max}")


class ForecastSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[forecast]: on, whether series are followed; horizons in samples; periods, samples of the
    season by stream; weights, a file of a network of one's own, else the shipped one; detector, the
    kind that finds changes, empty for the default of the number of channels."""

    on: bool = True
    horizons: tuple[int, ...] = HORIZONS
    periods: dict[str, int] = {}
    weights: str = ""
    detector: str = ""


class CandidateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[candidates]: raw, whether images worth a label are kept so that a person can see them."""

    raw: bool = False


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of auricle.toml.  homes: folders of further homes, by the name that streams use."""

    encoder: EncoderSettings
    knowledge: KnowledgeSettings = KnowledgeSettings()
    detector: DetectorSettings = DetectorSettings()
    growth: GrowthSettings = GrowthSettings()
    candidates: CandidateSettings = CandidateSettings()
    forecast: ForecastSettings = ForecastSettings()
    commands: CommandSettings = CommandSettings()
    fleet: FleetSettings | None = None
    bundles: BundleSettings = BundleSettings()
    device: DeviceSettings = DeviceSettings()
    mqtt: MqttSettings | None = None
    outbox: OutboxSettings = OutboxSettings()
    http: HttpSettings | None = None
    streams: dict[str, StreamSettings] = {}
    homes: dict[str, str] = {}

    def config(self) -> Config:
        """Return the core's part; raises ConfigError for a value that cannot be used."""
        return Config(
            seed=self.detector.seed,
            false_alarm_rate=self.detector.false_alarm_rate,
            window=self.detector.window,
            facts_per_concept=self.knowledge.facts_per_concept,
            adaptor_bytes=self.growth.bytes_max,
            adaptor_operations=self.growth.operations_max,
            adaptor_latency_ms=self.growth.latency_ms_max,
            forecast=self.forecast.on,
            horizons=self.forecast.horizons,
            periods=tuple(self.forecast.periods.items()),
            detector=self.forecast.detector,
        )


def read_settings(folder: Path) -> Settings:
    """Read auricle.toml strictly; raises ConfigError naming the nearest known key."""
    return parse_settings(read_text(folder), folder / SETTINGS)


def read_text(folder: Path) -> str:
    """Return the text of a home's settings; raises ConfigError."""
    path = folder / SETTINGS
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"reading {path}: it is no file", "put the settings in its place")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"opening the home {folder}: there is no {SETTINGS}",
            "make one with `auricle init`, or name it with --home",
        ) from None
    except NotADirectoryError:
        raise ConfigError(
            f"opening the home {folder}: it is a file, not a folder",
            "name the folder that `auricle init` made",
        ) from None
    except OSError as error:
        raise ConfigError(f"reading {path}: {error.strerror}", "check its permissions") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"reading {path}: {error}", "correct the file") from error


def parse_settings(text: str, path: Path) -> Settings:
    """Read settings from text; path: for what is said of it."""
    found: dict[str, Any] = {}
    try:
        found = tomllib.loads(text)
        settings = msgspec.convert(found, Settings)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"reading {path}: {error}", "correct the TOML") from error
    except msgspec.ValidationError as error:
        complaint = str(error)
        known = "unknown field" in complaint
        hint = nearest_key(complaint) if known else _hint_on_value(complaint, found)
        raise ConfigError(f"reading {path}: {_named(complaint, found)}", hint) from error
    settings.config()
    return settings


def _named(complaint: str, found: dict[str, Any]) -> str:
    """Name the stream that a complaint is about: msgspec says of tables of names that it is one."""
    if "$.streams[...]" in complaint:
        return complaint.replace("[...]", f".{_bad_stream(found)}", 1)
    return complaint


def _bad_stream(found: dict[str, Any]) -> str:
    """Return the name of the first stream that cannot be read, or nothing."""
    for name, one in found["streams"].items():
        try:
            msgspec.convert(one, StreamSettings)
        except msgspec.ValidationError:
            return str(name)
    return ""


def _hint_on_value(complaint: str, found: dict[str, Any]) -> str:
    """Say what to do about a value that cannot be used, or about a key that is not there: name the
    known values where they are a list, and the nearest one."""
    missing = re.search(r"missing required field `([^`]+)`", complaint)
    place = re.search(r"at `\$\.?([^`]*)`", complaint)
    steps = re.findall(r"[^.\[\]]+", place.group(1) if place else "")
    *steps, key = (*steps, missing.group(1)) if missing else steps or [""]
    table = _table(steps)
    if "$.streams[...]" in complaint and key != "source":
        given = found["streams"][_bad_stream(found)]
        source = given.get("source") if isinstance(given, dict) else None
        table = tuple(one for one in table if one.__struct_config__.tag == source)
    known = sorted({value for struct in table for value in _values_of(struct, key)})
    if missing:
        return f"add {key}" + (f", one of: {', '.join(known)}" if known else "")
    wrong = re.search(r"alid (?:enum )?value '([^']*)'", complaint)
    close = difflib.get_close_matches(wrong.group(1) if wrong else "", known, n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    return f"{guess}known values: {', '.join(known)}" if known else "correct the value"


def nearest_key(complaint: str) -> str:
    """Say which known key of the same table comes nearest to the unknown one a complaint names."""
    found = re.search(r"unknown field `([^`]+)`(?:.* at `\$\.?([^`]*)`)?", complaint)
    unknown, place = (found.group(1), found.group(2) or "") if found else ("", "")
    table = _table(re.findall(r"[^.\[\]]+", place))
    owners = [struct for struct in table if unknown in _keys(struct)]
    if owners:
        tags = " or ".join(sorted(f'"{one.__struct_config__.tag}"' for one in owners))
        return f"only {owners[0].__struct_config__.tag_field} = {tags} has it"
    keys = sorted({key for struct in table for key in _keys(struct)})
    close = difflib.get_close_matches(unknown, keys, n=1)
    return f"did you mean {close[0]}?" if close else f"known keys: {', '.join(keys)}"


def _table(steps: Iterable[str]) -> tuple[Any, ...]:
    """Return the structs that the table at a path of keys may be."""
    table: tuple[Any, ...] = (Settings,)
    for step in steps:
        inner = (_value_of(kind, step) for kind in table)
        table = tuple(struct for kind in inner for struct in _structs(kind))
    return table


def _values_of(struct: Any, key: str) -> Iterator[str]:
    """Yield the values that a key of a struct may have, where they are a list."""
    config = struct.__struct_config__
    if config.tag_field == key:
        yield str(config.tag)
    yield from _literals(_value_of(struct, key))


def _literals(kind: Any) -> Iterator[str]:
    if get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    else:
        for inner in get_args(kind):
            yield from _literals(inner)


def _keys(struct: Any) -> Iterator[str]:
    yield from (field.encode_name for field in msgspec.structs.fields(struct))
    if tag := struct.__struct_config__.tag_field:
        yield tag


def _value_of(struct: Any, step: str) -> Any:
    """Return the type below a struct's key, or below any key of a table of names."""
    if step == "...":
        return struct
    return next(
        (one.type for one in msgspec.structs.fields(struct) if one.encode_name == step), None
    )


def _structs(kind: Any) -> Iterator[Any]:
    """Yield the structs that a type may be, looking through options, unions and tables."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for inner in get_args(kind):
        yield from _structs(inner)
