"""Whole numbers by domain: how novel a sample is to each, and how a stream's samples vote.

In C, and in Python where C is not built: each function has the same result.
"""

from collections.abc import Mapping, Sequence

from . import native


def slide(leads: dict[str, int], newest: dict[str, int], oldest: dict[str, int]) -> bool:
    """Add how much nearer each domain is to one sample than the farthest one, and take away the
    same of another.  Return False, with nothing done, if they were compared with other domains."""
    if native.KERNEL is not None:
        return bool(native.KERNEL.slide(leads, newest, oldest))
    if newest.keys() != oldest.keys():
        return False
    farther = max(newest.values()) - max(oldest.values())
    for name, novelty in newest.items():
        leads[name] = leads.get(name, 0) + farther - novelty + oldest[name]
    return True


def leader(leads: dict[str, int], weighted: Sequence[tuple[dict[str, int], int]] = ()) -> str:
    """Return the domain with the highest lead, of several the first by name.

    weighted: the novelties of samples, which count so many times more.
    """
    if native.KERNEL is not None:
        return str(native.KERNEL.leader(leads, list(weighted)))
    made = {**leads}
    for novelties, weight in weighted:
        farthest = max(novelties.values())
        for name, novelty in novelties.items():
            made[name] = made.get(name, 0) + weight * (farthest - novelty)
    most = max(made.values())
    return min(name for name, lead in made.items() if lead == most)


def decisive(novelties: dict[str, int], margin: int) -> str:
    """Return the nearest domain if all others are at least `margin` farther, otherwise ""."""
    if native.KERNEL is not None:
        return str(native.KERNEL.decisive(novelties, margin))
    nearest, least, second = "", None, None
    for name, novelty in novelties.items():
        if least is None or novelty < least:
            nearest, least, second = name, novelty, least
        elif second is None or novelty < second:
            second = novelty
    return "" if least is None or (second is not None and second < least + margin) else nearest


def gather(
    evidence: dict[str, int],
    since: dict[str, int],
    novelties: dict[str, int],
    domain: str,
    most: int,
) -> int:
    """Add how much nearer a sample is to each other domain than to the stream's own, at most `most`
    either way, to the evidence, which is at least 0.  Return the highest of all domains.

    since: samples since the evidence was last 0.
    """
    if native.KERNEL is not None:
        return int(native.KERNEL.gather(evidence, since, novelties, domain, most))
    own = novelties.get(domain)
    if own is None:
        own = max(novelties.values())
    for name, novelty in novelties.items():
        if name == domain:
            continue
        total = evidence.get(name, 0) + max(-most, min(most, own - novelty))
        if total > 0:
            evidence[name], since[name] = total, since.get(name, 0) + 1
        else:
            evidence[name] = since[name] = 0
    return max(evidence.values(), default=0)


def prefer(
    novelties: dict[str, int],
    places: Mapping[str, int],
    logits: Sequence[float],
    unit: int,
    most: int,
) -> dict[str, int]:
    """Return novelties in which logits decide among the domains that have one, if at least two do:
    the nearest of them keeps its distance from all others, and goes to the domain with the highest
    logit.

    A logit that is 1 lower counts as `unit` of novelty, at most `most`.  places: of the domains
    among the logits.
    """
    if native.KERNEL is not None:
        found: dict[str, int] = native.KERNEL.prefer(novelties, places, logits, unit, most)
        return found
    shared = [name for name in novelties if name in places]
    if len(shared) < 2:
        return novelties
    top, beyond = max(logits), most / unit
    behind = [top - logits[places[name]] for name in shared]
    penalties = [int(lead * unit) if lead < beyond else most for lead in behind]
    nearest = min([novelties[name] for name in shared]) - min(penalties)
    moved = zip(shared, penalties, strict=True)
    return {**novelties, **{name: nearest + penalty for name, penalty in moved}}
