"""Training over devices: `auricle fleet train`, `auricle fleet export`, `auricle fleet leave`."""

import time
from pathlib import Path

import click

from ...core import ConfigError, limits
from ..options import PATH, home_option, json_option
from ..views import common as views
from .fleet import fleet

__all__ = ["export_adaptor", "fleet", "leave", "train"]

STRATEGIES = (
    "fedavg",
    "fedprox",
    "fedadam",
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
@click.option("--rank", type=click.IntRange(1, 256), default=8, help="Rank of the adaptor: 8.")
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
@click.option(
    "--rounds",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="Rounds of training.",
)
@click.option(
    "--rate",
    type=click.FloatRange(1e-6, 1e3),
    default=0.1,
    show_default=True,
    help="Initial learning rate.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="Steps of a device in a round.",
)
@click.option(
    "--batch", type=click.IntRange(1, 4_096), default=32, show_default=True, help="Facts in a step."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seed of all randomness.",
)
@click.option(
    "--share",
    type=click.FloatRange(0.01, 1.0),
    default=1.0,
    show_default=True,
    help="Share of devices in a round.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Parallel processes."
)
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
        settings=FederatedSettings(rate=rate, steps=steps, batch=batch, seed=seed, share=share),
    )
    paths = device_names([one.resolve() for one in devices], order.subject)
    trained = simulate_fleet(list(paths.values()), order, jobs, address)
    manifest = write_trained(out, trained, paths)
    if as_json:
        views.show_json({"folder": str(out), "digest": manifest.digest, "members": trained.members})
        return
    views.show_table(
        ("round", "devices", "loss", "bytes"),
        ((r.number, len(r.devices), f"{r.loss:.4f}", r.sent_bytes) for r in trained.rounds),
    )
    views.say(f"{out}: {sum(trained.members.values())} facts of {len(trained.members)} devices")


@fleet.command("export")
@click.argument("folder", type=PATH, help="The folder of a training.")
@click.argument("file", type=PATH, help="The new bundle.")
@click.option("--key", type=PATH, required=True, help="The publisher's private key.")
@click.option(
    "--publisher", default="", help="Name of the key in [bundles.keys]; default: its file name."
)
@click.option(
    "--counter",
    type=click.IntRange(1, limits.COUNT_MAX),
    help="Above that of every earlier bundle; default: seconds since 1970.",
)
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
