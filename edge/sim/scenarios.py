"""The schema of scenario files: strict and typed; docs/howto/simulate.md documents every key."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from encoder import DEFAULT_ENCODER

from ..core import Config, ConfigError, limits
from .scenario_hints import explain_invalid, suggest

DATA_VARIABLE = "AURICLE_DATA"
VECTOR = "vector"
SHIPPED_SOURCES = ("mnist", "optdigits")

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Steps = Annotated[int, Meta(ge=1, le=288)]
Text = Annotated[str, Meta(min_length=1, max_length=limits.TEXT_CHARS_MAX)]


Kind = TypeVar("Kind", bound=Struct)
Resolved = TypeVar("Resolved", "Scenario", "PolicyScenario", "StrategyScenario")


class EncoderSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """The device's encoder.  model: a shipped model's name, the path of a card.toml, or "vector"
    for features; then the quantiser is fitted to the first domain's samples, with one scale per tap
    or per channel (granularity)."""

    model: Text = DEFAULT_ENCODER
    granularity: Literal["tap", "channel"] = "tap"


class DeviceSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of the Runtime, as in `edge.core.Config`; the seed is that of the run.
    growth_delay: observations that a growth job takes.  acceptance: the test that an adaptor must
    pass to serve; with "none" the first choice of the search serves untested.  adaptation: whether
    domains without labels are adapted to."""

    false_alarm_rate: Annotated[float, Meta(gt=0, lt=0.5)] = 0.01
    window: Annotated[int, Meta(ge=1, le=limits.DRIFT_WINDOW_MAX)] = 16
    facts_per_concept: Annotated[int, Meta(ge=1)] = limits.FACTS_PER_CONCEPT_MAX
    keep: str = "random"
    growth: bool = True
    growth_delay: Count = 16
    acceptance: Literal["held_out", "none"] = "held_out"
    adaptation: Literal["auto", "off"] = "auto"

    def __post_init__(self) -> None:
        """Raise ConfigError for a selector that does not exist."""
        Config(keep=self.keep)


class CorruptionSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A corruption of the measurements.  severity: see corruptions.KINDS; ramp: observations of the
    domain over which it rises from zero."""

    kind: Literal["noise", "blur", "brightness", "contrast", "jpeg", "drift"]
    severity: Annotated[float, Meta(ge=-1, le=1)] = 0.5
    ramp: Count = 0


class DomainSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The source of a domain's samples, and their corruptions (docs/howto/simulate.md)."""

    source: Text
    data: tuple[Text, ...] = ()
    labels: Text = "labels"
    names: str = ""
    where: dict[str, int | str] = {}
    classes: tuple[Text, ...] = ()
    test: Annotated[int, Meta(ge=1)] = 100
    corruptions: tuple[CorruptionSpec, ...] = ()


class PhaseSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A phase: examples are enrolled, then a stream runs, then held-out sets are evaluated."""

    domain: Text
    enrol: Count = 0
    fit_geometry: bool = True
    observations: Count = 0
    classes: tuple[Text, ...] = ()
    order: Literal["shuffled", "by_class"] = "shuffled"
    stream: Text = "camera"
    label_fraction: Share = 0.0
    label_delay: Count = 0
    label_noise: Share = 0.0
    labels_per_class: Annotated[int, Meta(ge=1)] | None = None
    label_domain: bool | Text = False


class ForgetSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A forget request before the observation `at` (counted over all phases).  The other fields
    select facts, as in `edge.core.Selector`."""

    at: Count
    label: Text | None = None
    domain: Text | None = None
    stream: Text | None = None
    subject: Text | None = None
    refit_geometry: bool = False


class FaultSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Fault probabilities: per effect (`crash`, `disk_full`), per job of the worker
    (`worker_killed`, `worker_late`), or per observation (the others)."""

    crash: Share = 0.0
    disk_full: Share = 0.0
    clock_jump: Share = 0.0
    lost: Share = 0.0
    doubled: Share = 0.0
    reordered: Share = 0.0
    worker_killed: Share = 0.0
    worker_late: Share = 0.0


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A simulated world and the device in it."""

    title: Text
    domains: dict[str, DomainSpec]
    phases: tuple[PhaseSpec, ...]
    encoder: EncoderSpec = EncoderSpec()
    device: DeviceSpec = DeviceSpec()
    forget: tuple[ForgetSpec, ...] = ()
    faults: FaultSpec = FaultSpec()
    variants: dict[str, dict[str, Any]] = {}

    def __post_init__(self) -> None:
        """Raise ConfigError if a phase or a request contradicts the rest."""
        if not self.domains or not self.phases:
            raise ConfigError(
                f"reading scenario {self.title!r}: expected at least one domain and one phase",
                "add [domains.NAME] and [[phases]]",
            )
        for number, phase in enumerate(self.phases, 1):
            if phase.domain not in self.domains:
                raise ConfigError(
                    f"reading scenario {self.title!r}: phase {number} names the domain"
                    f" {phase.domain!r}, expected one of {sorted(self.domains)}",
                    suggest(phase.domain, self.domains),
                )
        for request in self.forget:
            if (request.label, request.domain, request.stream, request.subject) == (None,) * 4:
                raise ConfigError(
                    f"reading scenario {self.title!r}: the forget request at {request.at} selects"
                    " nothing",
                    "name a label, domain, stream or subject",
                )

    @property
    def first_domain(self) -> str:
        """The name of the domain that is known first."""
        return self.phases[0].domain


class LinkSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table [links]: a simulated backbone, and the forecaster and detector on it."""

    topology: Literal["euro28", "nsfnet"] = "nsfnet"
    days: Annotated[int, Meta(ge=1, le=60)] = 10
    quiet_days: Annotated[int, Meta(ge=1, le=59)] = 7
    double_share: Annotated[float, Meta(ge=0, le=1)] = 0.25
    forecaster: str = "pool"
    detector: str = "joint"
    horizons: tuple[Steps, ...] = (1, 6, 12)


class LinkScenario(Struct, frozen=True, forbid_unknown_fields=True):
    """A scenario of link loads: its title and the backbone."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    links: LinkSpec


class PolicyScenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A scenario of adaptation without labels.  policy: which policies answer, all if empty;
    protocol: which streams they meet, all that fit if empty; home: the domain that is known, the
    first one if empty; samples: of each domain, at most."""

    title: Text
    domains: dict[str, DomainSpec]
    policy: Text | tuple[Text, ...]
    protocol: Text | tuple[Text, ...] = ()
    home: str = ""
    samples: Annotated[int, Meta(ge=50)] = 1_000
    encoder: EncoderSpec = EncoderSpec()

    def __post_init__(self) -> None:
        """Raise ConfigError if the home is no domain."""
        if not self.domains or (self.home and self.home not in self.domains):
            raise ConfigError(
                f"reading scenario {self.title!r}: the home is {self.home!r}, expected one of"
                f" {sorted(self.domains)}",
                "add [domains.NAME], and name one of them as home",
            )

    @property
    def first_domain(self) -> str:
        """The name of the domain that is known first."""
        return self.home or next(iter(self.domains))


POLICY_KEYS: Final = frozenset({"policy", "protocol", "home"})
"""Keys that only a PolicyScenario has."""


class StrategySpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table [strategies].  names: which strategies run, all if empty; stream: how samples
    become tasks; orders: streams with another order of domains or labels; held_out: share of the
    samples that is never learned; samples: of each domain, or of each task of `nevis`, at most;
    classes_per_task: new labels of each task of `classes`."""

    names: Text | tuple[Text, ...] = ()
    stream: Literal["domains", "classes", "nevis", "releases"] = "domains"
    orders: Annotated[int, Meta(ge=1, le=24)] = 1
    held_out: Annotated[float, Meta(ge=0.05, le=0.5)] = 0.25
    samples: Annotated[int, Meta(ge=50)] = 1_000
    classes_per_task: Annotated[int, Meta(ge=1)] = 2


class StrategyScenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A comparison of strategies of continual learning on one stream of tasks."""

    title: Text
    strategies: StrategySpec
    domains: dict[str, DomainSpec] = {}
    encoder: EncoderSpec = EncoderSpec()

    def __post_init__(self) -> None:
        """Raise ConfigError if the stream and the domains do not fit."""
        stream, count = self.strategies.stream, len(self.domains)
        if stream == "nevis" and (count or self.strategies.orders > 1):
            raise ConfigError(
                f'reading scenario {self.title!r}: the stream "nevis" brings its own data in one'
                f" order, found {count} domains and {self.strategies.orders} orders",
                "leave out [domains] and `orders`, or choose another stream",
            )
        needed = {"domains": 2, "nevis": 0}.get(stream, 1)
        if count < needed:
            raise ConfigError(
                f"reading scenario {self.title!r}: the stream {stream!r} needs {needed} domains or"
                f" more, found {count}",
                "add [domains.NAME]",
            )

    @property
    def first_domain(self) -> str:
        """The name of the domain on which a quantiser for vectors is fitted."""
        return next(iter(self.domains))


SampledScenario = PolicyScenario | StrategyScenario
"""Scenarios that run no device and take labelled samples of domains."""

AnyScenario = Scenario | LinkScenario | PolicyScenario | StrategyScenario

KINDS: Final[Mapping[type[Struct], str]] = {
    Scenario: "without `policy`, `protocol`, `home`, [links] or [strategies], a scenario runs a"
    " device",
    LinkScenario: "[links] makes the scenario one of link loads, without a device",
    PolicyScenario: "`policy`, `protocol` or `home` makes the scenario a comparison of policies"
    " without a device; the key of a device is `adaptation` in [device]",
    StrategyScenario: "[strategies] makes the scenario a comparison of strategies without a device",
}
"""Every kind of scenario, and what makes a file one."""


def load_scenario(
    path: str | os.PathLike[str], data: str | os.PathLike[str] | None = None
) -> AnyScenario:
    """Read a scenario file; one with a table [links] is a LinkScenario, one with [strategies] a
    StrategyScenario, one with the keys policy, protocol or home a PolicyScenario.

    Relative sources start at the file's folder, then at the folder `data`, by default that in
    AURICLE_DATA.  Raises ConfigError for an unreadable file and for every unknown key or invalid
    value, with the nearest known key.
    """
    places = [Path(path).parent]
    if found := data or os.environ.get(DATA_VARIABLE):
        places.append(Path(found))
    path = Path(path)
    try:
        content = msgspec.toml.decode(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"reading scenario {path}: {error.strerror}", "check the path") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"reading scenario {path}: {error}", "correct the TOML") from error
    if isinstance(content, dict) and "links" in content:
        return _convert(content, LinkScenario, str(path))
    if isinstance(content, dict) and "strategies" in content:
        return _resolved(_convert(content, StrategyScenario, str(path)), places)
    if isinstance(content, dict) and not POLICY_KEYS.isdisjoint(content):
        return _resolved(_convert(content, PolicyScenario, str(path)), places)
    return _resolved(parse_scenario(content, str(path)), places)


def load_device_scenario(
    path: str | os.PathLike[str], data: str | os.PathLike[str] | None = None
) -> Scenario | LinkScenario:
    """Read a scenario that runs a device; raises ConfigError for policies and strategies, too."""
    scenario = load_scenario(path, data)
    if isinstance(scenario, PolicyScenario):
        raise ConfigError(
            f"reading scenario {path}: it names policies of adaptation, which run without a device",
            "run `auricle simulate` without `--unlearn`, or call compare_policies",
        )
    if isinstance(scenario, StrategyScenario):
        raise ConfigError(
            f"reading scenario {path}: it names strategies, which run without a device",
            "run `auricle simulate` without `--unlearn`, or call compare_strategies",
        )
    return scenario


def parse_scenario(content: object, origin: str = "scenario") -> Scenario:
    """Check plain data against the scenario's types; raises ConfigError as `load_scenario` does."""
    return _convert(content, Scenario, origin)


def _convert(content: object, kind: type[Kind], origin: str) -> Kind:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        hint = explain_invalid(str(error), kind, KINDS)
        raise ConfigError(f"reading {origin}: {error}", hint) from error


def expand_variants(scenario: Scenario) -> tuple[tuple[str, Scenario], ...]:
    """Return the named scenarios to run: each variant with its keys set, or the scenario itself.

    A variant's keys are dotted paths, numbers for places in lists: "phases.1.label_fraction".
    """
    if not scenario.variants:
        return (("", scenario),)
    return tuple(
        (name, _varied(scenario, name, changes)) for name, changes in scenario.variants.items()
    )


def choose_names(
    title: str, key: str, found: str | tuple[str, ...], table: Mapping[str, object]
) -> tuple[str, ...]:
    """Return the entries of a table that a key of a scenario names, each once: all for "all" or
    nothing.  Raises ConfigError for an unknown name, with the nearest known one."""
    names = (found,) if isinstance(found, str) else tuple(dict.fromkeys(found))
    if names in ((), ("all",)):
        return tuple(table)
    for name in names:
        if name not in table:
            raise ConfigError(
                f"reading scenario {title!r}: {key} is {name!r}, expected one of"
                f" {', '.join(map(repr, table))}",
                suggest(name, tuple(table)),
            )
    return names


def _varied(scenario: Scenario, name: str, changes: Mapping[str, Any]) -> Scenario:
    content = msgspec.to_builtins(scenario)
    content["variants"] = {}
    for path, value in changes.items():
        *parents, last = path.split(".")
        place: Any = content
        try:
            for step in parents:
                place = place[int(step)] if isinstance(place, list | tuple) else place[step]
            place[int(last) if isinstance(place, list) else last] = value
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ConfigError(
                f"setting up variant {name!r}: there is no {path!r} to set",
                "write the path as in the scenario, numbers from 0 in lists",
            ) from error
    return parse_scenario(content, f"variant {name!r}")


def _resolved(scenario: Resolved, places: Sequence[Path]) -> Resolved:
    domains = {
        name: msgspec.structs.replace(domain, source=_found(domain.source, places))
        for name, domain in scenario.domains.items()
    }
    model = scenario.encoder.model
    if model.endswith(".toml"):
        model = _found(model, places)
    chosen = msgspec.structs.replace(scenario.encoder, model=model)
    return msgspec.structs.replace(scenario, domains=domains, encoder=chosen)


def _found(source: str, places: Sequence[Path]) -> str:
    """Return the path of a source: in the first folder that has it, else as is."""
    if source in SHIPPED_SOURCES:
        return source
    paths = [folder / source for folder in places]
    return next((str(path.resolve()) for path in paths if path.exists()), source)
