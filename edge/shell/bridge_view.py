"""How exports for microcontrollers are shown."""

from .extraction import Measured
from .extraction_plan import Budget, Plan
from .views import say, show_table

NAMES = (
    "bits",
    "blocks",
    "domains",
    "flash bytes",
    "RAM bytes",
    "fits",
    "routed",
    "labelled",
    "detected",
    "agreed",
)


KEYS = tuple(name.lower().replace(" ", "_") for name in NAMES)


def show_plan(plan: Plan, budget: Budget) -> None:
    """Print every extract that was measured, and what the chosen one costs and keeps."""
    show_table(NAMES, (_row(one, budget) for one in plan.offers))
    chosen = plan.chosen
    say(
        f"chosen: {chosen.shape.bits} bits, {_blocks(chosen)}:"
        f" {chosen.flash_bytes} bytes of flash, {chosen.ram_bytes} of RAM"
    )
    best = max(one.labelled for one in plan.offers)
    if chosen.labelled < best:
        say(f"labelled {chosen.labelled:.1%} of held-out facts; the best here {best:.1%}")


def _row(one: Measured, budget: Budget) -> tuple[object, ...]:
    detected = "-" if one.detected is None else f"{one.detected:.3f}"
    return (
        one.shape.bits,
        _blocks(one),
        len(one.shape.domains),
        one.flash_bytes,
        one.ram_bytes,
        "yes" if budget.holds(one) else "no",
        f"{one.routed:.3f}",
        f"{one.labelled:.3f}",
        detected,
        f"{one.agreed:.3f}",
    )


def _blocks(one: Measured) -> str:
    named = ["bits"]
    named += ["columns"] if one.shape.columns else []
    return " + ".join(named + (["plane"] if one.shape.plane else []))


def plan_as_data(plan: Plan, budget: Budget, names: tuple[str, ...]) -> dict[str, object]:
    """What `show_plan` prints, as plain values."""
    offers = [dict(zip(KEYS, _row(one, budget), strict=True)) for one in plan.offers]
    chosen = dict(zip(KEYS, _row(plan.chosen, budget), strict=True))
    return {"offers": offers, "chosen": chosen, "files": names}
