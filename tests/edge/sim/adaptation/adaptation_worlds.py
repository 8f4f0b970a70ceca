"""A small world for tests: three domains of blobs, told apart by a shift of all columns."""

from __future__ import annotations

import numpy as np

from edge.sim.adaptation import AdaptationWorld, Change, LabelledRows

CLASSES, COLUMNS, EACH = 4, 12, 80


def blob_world(seed: int = 0, each: int = EACH) -> AdaptationWorld:
    """Domains `home`, `near` and `far`, and the home's rows after two changes."""
    random = np.random.default_rng(seed)
    centres = random.uniform(60, 190, (CLASSES, COLUMNS))
    targets = np.repeat(np.arange(CLASSES), each)

    def drawn(shift: float) -> LabelledRows:
        values = centres[targets] + random.normal(0, 12, (len(targets), COLUMNS)) + shift
        return LabelledRows(np.clip(np.rint(values), 0, 255).astype(np.uint8), targets)

    domains = {"home": drawn(0), "near": drawn(15), "far": drawn(50)}
    brighter = np.minimum(domains["home"].features.astype(np.int64) + 40, 255).astype(np.uint8)
    changed = {Change("brightness", 5): brighter, Change("brightness", 3): brighter // 2}
    return AdaptationWorld(
        name="blobs",
        domains=domains,
        spans=((0, COLUMNS),),
        changed={"home": changed},
        development=frozenset({("home", "near")}),
    )


def write_scenario(folder, policy: str = '["mean", "tent"]', protocol: str = '["iid", "runs"]'):
    """A scenario on the user's own features: two domains in one file."""
    world = blob_world(3)
    rows = {name: world.domains[name] for name in ("home", "far")}
    np.savez(
        folder / "own.npz",
        features=np.concatenate([one.features for one in rows.values()]).astype(np.float32),
        labels=np.concatenate([one.targets for one in rows.values()]),
        domain=np.repeat([0, 1], [len(one) for one in rows.values()]),
    )
    path = folder / "own.toml"
    path.write_text(
        f'title = "Own features"\npolicy = {policy}\nprotocol = {protocol}\n'
        '[encoder]\nmodel = "vector"\n'
        '[domains.first]\nsource = "own.npz"\nwhere = { domain = 0 }\n'
        '[domains.second]\nsource = "own.npz"\nwhere = { domain = 1 }\n',
        "utf-8",
    )
    return path
