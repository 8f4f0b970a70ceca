"""The settings of a home: auricle.toml, parsed strictly, with a hint for each mistake.

docs/reference/config.md documents every key.
"""

import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from ..core import Config, ConfigError, nearest_name
from ..core.anomaly import FALSE_ALARMS_PER_DAY
from ..core.forecasting import HORIZONS
from ..core.selection import NEWEST, RANDOM
from .aggregate import AggregateSettings
from .commands import CommandSettings
from .device import DeviceSettings, HttpSettings, OutboxSettings
from .fleet import BundleSettings, FleetSettings
from .mqtt import MqttSettings
from .streams import StreamSettings
from .web import WebSettings

SETTINGS = "auricle.toml"

TEMPLATE = """\
# Settings of this auricle home; every key is documented in docs/reference/config.md.

[encoder]
# card: a shipped encoder's name, or the path of a card
card = {card}
threads = 1                # threads of the encoder

[knowledge]
file = "knowledge.db"      # the ledger, in the folder of this file
facts_per_concept = 1000   # facts kept per (domain, label)
# keep: which: random, newest, herding, coverage, adaptive or mixed; newest in a fleet

[detector]
false_alarm_rate = 0.01    # share of known samples, and windows, that may be reported as novel
window = 16                # observations in a stream's drift window
seed = 1                   # of the projection; part of every digest

[growth]
bytes_max = 8388608        # of an adaptor with its head
operations_max = 10000000  # multiply-adds of both for a sample
latency_ms_max = 2.0       # of both for a sample, on this machine
memory_mib_max = 1024      # private data of the process that searches and trains
seconds_max = 120.0        # from the start of that process to its result

[adaptation]
policy = "auto"            # adapt the known heads to domains without labels; "off": do not

[candidates]
raw = false                # keep images and windows that are worth a label, to show them to people
"""

WORKER_MEMORY_MIB_MIN: Final = 256
"""A worker needs more than this to load torch alone."""


class EncoderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[encoder]: card: name of a shipped encoder, or path of a card; threads: of the encoder."""

    card: str
    threads: int = 1


class KnowledgeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[knowledge]: file: the ledger, relative to the home; facts_per_concept: facts kept; keep:
    which of them, the name of a selector; empty: a uniform sample of all, in a fleet the newest."""

    file: str = "knowledge.db"
    facts_per_concept: int = 1000
    keep: str = ""


class DetectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[detector]: false-alarm rate, drift window in observations, seed of the projection."""

    false_alarm_rate: float = 0.01
    window: int = 16
    seed: int = 1


class GrowthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[growth]: limits of an adaptor, and of the worker process that searches and trains it."""

    bytes_max: int = 1 << 23
    operations_max: int = 10_000_000
    latency_ms_max: float = 2.0
    memory_mib_max: int = 1024
    seconds_max: float = 120.0

    def __post_init__(self) -> None:
        """Raise ValueError for a value out of range."""
        for name in ("bytes_max", "operations_max", "latency_ms_max", "seconds_max"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0, found {value}")
        if self.memory_mib_max < WORKER_MEMORY_MIB_MIN:
            least = f"{WORKER_MEMORY_MIB_MIN} or more"
            raise ValueError(f"memory_mib_max must be {least}, found {self.memory_mib_max}")


class ForecastSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[forecast]: forecasting of series.

    horizons: in samples.  periods: samples in a season, by stream.  weights: file of a trained
    network; empty for the shipped one.  detector: kind of change detector; empty for the default of
    the number of channels.  false_alarms_per_day: of the anomaly score of one series.
    """

    enabled: bool = True
    horizons: tuple[int, ...] = HORIZONS
    periods: dict[str, int] = {}
    weights: str = ""
    detector: str = ""
    false_alarms_per_day: float = FALSE_ALARMS_PER_DAY


class AdaptationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[adaptation]: policy: whether domains without labels are adapted to."""

    policy: Literal["auto", "off"] = "auto"


class CandidateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[candidates]: raw: keep the images of observations worth a label, to show them to people."""

    raw: bool = False


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of auricle.toml.  homes: folders of further homes, by the name that streams use."""

    encoder: EncoderSettings
    knowledge: KnowledgeSettings = KnowledgeSettings()
    detector: DetectorSettings = DetectorSettings()
    growth: GrowthSettings = GrowthSettings()
    adaptation: AdaptationSettings = AdaptationSettings()
    candidates: CandidateSettings = CandidateSettings()
    forecast: ForecastSettings = ForecastSettings()
    commands: CommandSettings = CommandSettings()
    fleet: FleetSettings | None = None
    aggregate: AggregateSettings | None = None
    bundles: BundleSettings = BundleSettings()
    device: DeviceSettings = DeviceSettings()
    mqtt: MqttSettings | None = None
    outbox: OutboxSettings = OutboxSettings()
    http: HttpSettings | None = None
    web: WebSettings = WebSettings()
    streams: dict[str, StreamSettings] = {}
    homes: dict[str, str] = {}

    def config(self) -> Config:
        """Return the configuration of the core; raises ConfigError for an invalid value."""
        return Config(
            seed=self.detector.seed,
            false_alarm_rate=self.detector.false_alarm_rate,
            window=self.detector.window,
            facts_per_concept=self.knowledge.facts_per_concept,
            keep=self.knowledge.keep or (RANDOM if self.fleet is None else NEWEST),
            adaptor_bytes=self.growth.bytes_max,
            adaptor_operations=self.growth.operations_max,
            adaptor_latency_ms=self.growth.latency_ms_max,
            forecast=self.forecast.enabled,
            horizons=self.forecast.horizons,
            periods=tuple(self.forecast.periods.items()),
            detector=self.forecast.detector,
            false_alarms_per_day=self.forecast.false_alarms_per_day,
            adaptation=self.adaptation.policy,
        )


def read_settings(folder: Path) -> Settings:
    """Read auricle.toml; raises ConfigError, for an unknown key with the closest known one."""
    return parse_settings(read_text(folder), folder / SETTINGS)


def read_text(folder: Path) -> str:
    """Return the text of a home's settings; raises ConfigError."""
    path = folder / SETTINGS
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"reading {path}: it is not a file", "replace it by a settings file")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"opening the home {folder}: there is no {SETTINGS}",
            "make one with `auricle init`, or select one with --home",
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
    """Parse settings.  path: named in errors."""
    found: dict[str, Any] = {}
    try:
        found = tomllib.loads(text)
        settings = msgspec.convert(found, Settings)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"reading {path}: {error}", "correct the TOML") from error
    except msgspec.ValidationError as error:
        message = str(error)
        known = "unknown field" in message
        hint = nearest_key(message) if known else _hint_on_value(message, found)
        raise ConfigError(f"reading {path}: {_name_stream(message, found)}", hint) from error
    settings.config()
    return settings


def _name_stream(message: str, found: dict[str, Any]) -> str:
    """Add the name of the stream to a message: msgspec writes `[...]` for the keys of a table."""
    if "$.streams[...]" in message:
        return message.replace("[...]", f".{_bad_stream(found)}", 1)
    return message


def _bad_stream(found: dict[str, Any]) -> str:
    """Return the name of the first invalid stream; empty if there is none."""
    for name, one in found["streams"].items():
        try:
            msgspec.convert(one, StreamSettings)
        except msgspec.ValidationError:
            return str(name)
    return ""


def _hint_on_value(message: str, found: dict[str, Any]) -> str:
    """Return the hint for an invalid value or a missing key, with the known values if they form a
    list, and the closest one."""
    missing = re.search(r"missing required field `([^`]+)`", message)
    place = re.search(r"at `\$\.?([^`]*)`", message)
    steps = re.findall(r"[^.\[\]]+", place.group(1) if place else "")
    *steps, key = (*steps, missing.group(1)) if missing else steps or [""]
    table = _table(steps)
    if "$.streams[...]" in message and key != "source":
        given = found["streams"][_bad_stream(found)]
        source = given.get("source") if isinstance(given, dict) else None
        table = tuple(one for one in table if one.__struct_config__.tag == source)
    known = sorted({value for struct in table for value in _values_of(struct, key)})
    if missing:
        return f"add {key}" + (f", one of: {', '.join(known)}" if known else "")
    wrong = re.search(r"alid (?:enum )?value '([^']*)'", message)
    close = nearest_name(wrong.group(1) if wrong else "", known)
    guess = f"did you mean {close}? " if close else ""
    return f"{guess}known values: {', '.join(known)}" if known else "correct the value"


def nearest_key(message: str) -> str:
    """Return the hint for an unknown key: the closest known key of the same table."""
    found = re.search(r"unknown field `([^`]+)`(?:.* at `\$\.?([^`]*)`)?", message)
    unknown, place = (found.group(1), found.group(2) or "") if found else ("", "")
    table = _table(re.findall(r"[^.\[\]]+", place))
    owners = [struct for struct in table if unknown in _keys(struct)]
    if owners:
        tags = " or ".join(sorted(f'"{one.__struct_config__.tag}"' for one in owners))
        return f"only {owners[0].__struct_config__.tag_field} = {tags} has it"
    keys = sorted({key for struct in table for key in _keys(struct)})
    close = nearest_name(unknown, keys)
    return f"did you mean {close}?" if close else f"known keys: {', '.join(keys)}"


def _table(steps: Iterable[str]) -> tuple[Any, ...]:
    """Return the structs that describe the table at a path of keys."""
    table: tuple[Any, ...] = (Settings,)
    for step in steps:
        inner = (_value_of(kind, step) for kind in table)
        table = tuple(struct for kind in inner for struct in _structs(kind))
    return table


def _values_of(struct: Any, key: str) -> Iterator[str]:
    """Yield the allowed values of a key of a struct, if they form a list."""
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
    """Return the type of a struct's key, or of the entries of a table."""
    if step == "...":
        return struct
    return next(
        (one.type for one in msgspec.structs.fields(struct) if one.encode_name == step), None
    )


def _structs(kind: Any) -> Iterator[Any]:
    """Yield the structs within a type: of options, unions and tables."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for inner in get_args(kind):
        yield from _structs(inner)
