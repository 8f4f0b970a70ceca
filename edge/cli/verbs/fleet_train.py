"""Training over devices: `auricle fleet train`, `auricle fleet export`, `auricle fleet leave`."""

import time
from pathlib import Path

import click

from ...core import ConfigError
from ..options import (
    PATH,
    count_option,
    counter_option,
    home_option,
    jobs_option,
    json_option,
    key_option,
    publisher_option,
    seed_option,
)
from ..views import common as views
from .fleet import fleet

__all__ = ["export_adaptor", "fleet", "leave", "train"]

STRATEGIES = (
    "fedavg",
    "fedprox",
    "fedadam",
    "fedmedian",
    "fedtrimmed",
    "fedhyper",
    "fedhyper-global",
    "fedhyper-server",
    "fedhyper-client",
    "fedhyper-relative",
)
"""Strategies that train; exact sums travel as contributions, without a training."""


@fleet.command
@click.argument("devices", type=PATH, nargs=-1, required=True, help="Homes, one for each device.")
@click.option("--out", type=PATH, required=True, help="New folder for the result.")
@click.option("--domain", default="", help="The domain whose adaptor is trained.")
@count_option("--rank", 8, 256, "Rank of the adaptor.")
@click.option(
    "--forecaster",
    type=click.Choice(["cfc", "gru"]),
    help="Train a forecaster instead; DEVICES are then CSV recordings.",
)
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default="fedhyper-relative",
    show_default=True,
    metavar="NAME",
    help=f"How models are joined: {', '.join(STRATEGIES)}.",
)
@count_option("--rounds", 20, 10_000, "Rounds of training.")
@click.option(
    "--rate",
    type=click.FloatRange(1e-6, 1e3),
    default=0.1,
    show_default=True,
    help="Initial learning rate.",
)
@count_option("--steps", 10, 10_000, "Steps of a device in a round.")
@count_option("--batch", 32, 4_096, "Facts in a step.")
@seed_option(0, "Seed of all randomness.")
@click.option(
    "--share",
    type=click.FloatRange(0.01, 1.0),
    default=1.0,
    show_default=True,
    help="Share of devices in a round.",
)
@click.option(
    "--bound",
    type=click.FloatRange(0, 1e6),
    default=2.0,
    show_default=True,
    help="Longest update of a device times its facts, over the median; 0: any.",
)
@jobs_option
@click.option("--ray", "address", default="", help="Address of a Ray cluster; auto: this one's.")
@json_option
def train(
    *,
    devices: tuple[Path, ...],
    out: Path,
    domain: str,
    rank: int,
    forecaster: str | None,
    strategy: str,
    rounds: int,
    rate: float,
    steps: int,
    batch: int,
    seed: int,
    share: float,
    bound: float,
    jobs: int,
    address: str,
    as_json: bool,
) -> None:
    """Train an adaptor or a forecaster over devices, in Flower's simulation engine."""
    from ...federation import (
        FederatedSettings,
        TrainingOrder,
        TrainingSubject,
        device_names,
        lowrank_blueprint,
        simulate_fleet,
        write_trained,
    )

    if bool(domain) == bool(forecaster):
        raise ConfigError(
            "training over devices: expected either --domain or --forecaster",
            "name the domain of an adaptor, or a kind of forecaster",
        )
    if out.exists():
        raise ConfigError(f"training over devices: {out} exists already", "choose another folder")
    blueprint = lowrank_blueprint(rank)
    order = TrainingOrder(
        subject=TrainingSubject(domain=domain, blueprint=blueprint, forecaster=forecaster or ""),
        strategy=strategy,
        rounds=rounds,
        settings=FederatedSettings(
            rate=rate, steps=steps, batch=batch, seed=seed, share=share, bound=bound
        ),
    )
    paths = device_names([one.resolve() for one in devices], order.subject)
    trained = simulate_fleet(list(paths.values()), order, jobs, address)
    manifest = write_trained(out, trained, paths)
    if as_json:
        views.show_json({"folder": str(out), "digest": manifest.digest, "members": trained.members})
        return
    views.show_table(
        ("round", "devices", "bounded", "refused", "loss", "bytes"),
        (
            (
                one.number,
                len(one.devices),
                len(one.bounded),
                len(one.refused),
                f"{one.loss:.4f}",
                one.sent_bytes,
            )
            for one in trained.rounds
        ),
    )
    for device, reason in {
        d: why for one in trained.rounds for d, why in one.refused.items()
    }.items():
        views.say(f"refused: {device}: {reason}")
    views.say(f"{out}: {sum(trained.members.values())} facts of {len(trained.members)} devices")


@fleet.command("export")
@click.argument("folder", type=PATH, help="The folder of a training.")
@click.argument("file", type=PATH, help="The new bundle.")
@key_option
@publisher_option
@counter_option
@home_option
@json_option
def export_adaptor(
    *,
    folder: Path,
    file: Path,
    key: Path,
    publisher: str,
    counter: int | None,
    home: Path,
    as_json: bool,
) -> None:
    """Write the adaptor that a fleet trained to a signed bundle, for `auricle bundle import`."""
    from ...federation import export_trained
    from ...signing import load_key
    from ...storage import BundleVersion, write_bytes

    if file.exists():
        raise ConfigError(f"exporting to {file}: the file exists already", "choose another name")
    at_ns = time.time_ns()
    version = BundleVersion(publisher or key.stem, counter or at_ns // 10**9)
    made = export_trained(folder, home, load_key(key), version, at_ns)
    write_bytes(file, made.body)
    if as_json:
        views.show_json({"file": str(file), "counter": version.counter})
        return
    views.say(f"{file}: {len(made.body)} bytes, counter {version.counter}")


@fleet.command
@click.argument("folder", type=PATH, help="The folder of a training.")
@click.argument("member", help="The device that leaves.")
@click.option("--out", type=PATH, required=True, help="New folder for the result without it.")
@json_option
def leave(*, folder: Path, member: str, out: Path, as_json: bool) -> None:
    """Train again without a member, and write the receipt of what that changes."""
    import msgspec

    from ...federation import leave_fleet

    receipt = leave_fleet(folder, member, out, time.time_ns())
    if as_json:
        views.show_json(msgspec.to_builtins(receipt))
        return
    views.say(f"{member}: {receipt.facts} facts left the training; {out} was trained without them")
    for one in receipt.bundles:
        views.say(
            f"still with its influence: bundle {one.counter} of {one.publisher}; on each device: "
            f"auricle bundle remove {one.publisher} {one.counter}"
        )
