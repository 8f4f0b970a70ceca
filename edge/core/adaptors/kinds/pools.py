"""Kinds that choose or mix among several small adaptors: pools, mixtures, routed skills."""

import numpy as np

from nas import Blueprint

from .kind import Arrays, Floats, MatrixKind, Shapes, Sizes, activate


class PoolAdaptor(MatrixKind):
    """A pool of modulators, of which the one whose key matches a row best modulates it.

    Learning to Modulate (Schmied et al. 2023, abstract; `l2p.py` and `l2m.py` of the authors'
    code): the match is the cosine between row and key, one modulator is chosen.  Rank 0: it scales
    the columns, rows * (1 + g); otherwise it shifts them, rows + rows @ U @ V.  depth: modulators.
    """

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        read, rank = sum(sizes), blueprint.rank
        shapes: Shapes = {"K": (blueprint.depth, read)}
        for one in range(blueprint.depth):
            if rank:
                shapes |= {f"U{one}": (read, rank), f"V{one}": (rank, read)}
            else:
                shapes |= {f"g{one}": (read,)}
        return shapes

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del sizes
        flat = rows.reshape(-1, rows.shape[-1])
        lengths = np.sqrt(np.square(arrays["K"]).sum(axis=1))
        chosen = (flat @ arrays["K"].T / np.maximum(lengths, np.float32(1e-12))).argmax(axis=1)
        made = np.empty_like(flat)
        for one in np.unique(chosen).tolist():
            at = chosen == one
            part = flat[at]
            if blueprint.rank:
                made[at] = part + part @ arrays[f"U{one}"] @ arrays[f"V{one}"]
            else:
                made[at] = part * (np.float32(1) + arrays[f"g{one}"])
        return made.reshape(rows.shape)

    def operations(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `AdaptorKind`: every key, and one modulator."""
        return sum(sizes) * (blueprint.depth + (2 * blueprint.rank or 1))


class MixtureAdaptor(MatrixKind):
    """Adapters of several domains, mixed by a gate, and one of the task: rows + sum of
    p_j a(rows @ D_j) @ V_j + a(rows @ U) @ Vt.

    Mixture-of-Domain-Adapters (Diao et al. 2023, abstract; `mixda_adapter.py` and
    `mixda_stage_one.py` of the authors' code): the domains' adapters are trained without labels
    and then frozen, the gate and the task's adapter with labels (`edge/growth`).  The gate p is a
    softmax over the frozen path and the adapters, p = softmax(rows @ F), in place of the authors'
    attention.  depth: domains.
    """

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        read, rank = sum(sizes), blueprint.rank
        shapes: Shapes = {"F": (read, blueprint.depth + 1), "U": (read, rank), "Vt": (rank, read)}
        for one in range(blueprint.depth):
            shapes |= {f"D{one}": (read, rank), f"V{one}": (rank, read)}
        return shapes

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del sizes
        raw = rows @ arrays["F"]
        powers = np.exp(raw - raw.max(axis=-1, keepdims=True))
        gates = powers / powers.sum(axis=-1, keepdims=True)
        made = rows + activate(blueprint.activation, rows @ arrays["U"]) @ arrays["Vt"]
        for one in range(blueprint.depth):
            inner = activate(blueprint.activation, rows @ arrays[f"D{one}"])
            made = made + gates[..., one + 1, None] * (inner @ arrays[f"V{one}"])
        return np.asarray(made, np.float32)


class RoutedAdaptor(MatrixKind):
    """A low-rank adapter put together from an inventory of skills: rows + a(rows @ U) @ V.

    Multi-Head Adapter Routing (Caccia et al. 2023, abstract; `mttl` of the authors' code): skills
    are trained over the other domains, each with its own weights of the skills in each block of
    columns, then the domain's own weights are found, and the skills added up (`edge/growth`).  Only
    the sum is kept.  depth: skills.
    """

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        return {"U": (sum(sizes), blueprint.rank), "V": (blueprint.rank, sum(sizes))}

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del sizes
        inner = activate(blueprint.activation, rows @ arrays["U"])
        return np.asarray(rows + inner @ arrays["V"], np.float32)
