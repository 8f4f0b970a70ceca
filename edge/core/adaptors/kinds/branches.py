"""Kinds that add trained branches beside columns: Hydra, and adapters for each tap."""

import numpy as np

from nas import Blueprint

from .kind import Arrays, Floats, MatrixKind, Shapes, Sizes, activate


class HydraAdaptor(MatrixKind):
    """A parallel and a sequential low-rank branch beside a frozen layer: h + a(rows @ U0) @ V0 +
    h @ U1 @ V1, with h = rows @ W.

    Hydra (Kim et al. 2024, abstract; `vtab1k/hydra.py` of the authors' code): the parallel branch
    reads the layer's input, the sequential one its output.  W is trained before the branches
    (`edge/growth`).  Width 0: h = rows, the encoder's columns as the frozen layer; an activation
    then keeps the two branches from being one.
    """

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        read, rank = sum(sizes), blueprint.rank
        out = blueprint.width or read
        frozen: Shapes = {"W": (read, out)} if blueprint.width else {}
        branches: Shapes = {"U0": (read, rank), "V0": (rank, out)}
        return frozen | branches | {"U1": (out, rank), "V1": (rank, out)}

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del sizes
        passed = rows @ arrays["W"] if blueprint.width else rows
        inner = activate(blueprint.activation, rows @ arrays["U0"])
        made = passed + inner @ arrays["V0"] + passed @ arrays["U1"] @ arrays["V1"]
        return np.asarray(made, np.float32)


class TapAdaptor(MatrixKind):
    """An adapter for each tap, x + a(x @ U) @ V, after the tap's scaling, or one before it, too.

    The placements of Pfeiffer et al. 2021 (depth 1: one adapter, after) and of Houlsby et al. 2019
    (depth 2: one before, one after), as compared for audio transformers by Cappellazzo et al. 2023
    (abstract, and the authors' repository PETL_AST).  An encoder's taps take the place of the
    sub-layers, and the scaling of a tap's columns that of the frozen sub-layer: the adapter before
    it reads centred columns in their own units.
    """

    residual = True
    up = "V"
    """First letter of the matrices that map back, which start at zero beside a residual."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        rank, up = blueprint.rank, self.up
        shapes: Shapes = {}
        for tap, size in enumerate(sizes):
            shapes |= {f"U{tap}": (size, rank), f"{up}{tap}": (rank, size)}
            if blueprint.depth > 1:
                shapes |= {f"B{tap}": (size, rank), f"{up}b{tap}": (rank, size)}
        return shapes

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`; `factor` is the scaling of the columns."""
        made, at = np.empty_like(rows), 0
        for tap, size in enumerate(sizes):
            span = slice(at, at + size)
            made[..., span] = self._tap(blueprint, arrays, (tap, span), rows[..., span])
            at += size
        return made

    def operations(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `AdaptorKind`: with one division and one product per column before the scaling."""
        return super().operations(blueprint, sizes) + 2 * (blueprint.depth - 1) * sum(sizes)

    def _tap(
        self, blueprint: Blueprint, arrays: Arrays, place: tuple[int, slice], columns: Floats
    ) -> Floats:
        tap, span = place
        if blueprint.depth > 1:
            factor = arrays["factor"][span]
            inner = activate(blueprint.activation, (columns / factor) @ arrays[f"B{tap}"])
            added = inner @ arrays[f"{self.up}b{tap}"] * factor
            columns = columns + added if self.residual else added
        inner = activate(blueprint.activation, columns @ arrays[f"U{tap}"])
        added = inner @ arrays[f"{self.up}{tap}"]
        return np.asarray(columns + added if self.residual else added, np.float32)


class DirectTapAdaptor(TapAdaptor):
    """`TapAdaptor` without residual: what the adapters give replaces the columns."""

    residual = False
    up = "E"


class ParallelTapAdaptor(MatrixKind):
    """An adapter for each tap in parallel to its scaling: x + a(x / factor @ U) @ V.

    The best placement of Cappellazzo et al. 2023 (the authors' repository PETL_AST): the adapter
    reads what the frozen sub-layer reads, and is added to what it gives.
    """

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        shapes: Shapes = {}
        for tap, size in enumerate(sizes):
            shapes |= {f"U{tap}": (size, blueprint.rank), f"V{tap}": (blueprint.rank, size)}
        return shapes

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`; `factor` is the scaling of the columns."""
        made, at = rows.copy(), 0
        for tap, size in enumerate(sizes):
            span = slice(at, at + size)
            raw = rows[..., span] / arrays["factor"][span]
            inner = activate(blueprint.activation, raw @ arrays[f"U{tap}"])
            made[..., span] += inner @ arrays[f"V{tap}"]
            at += size
        return made

    def operations(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `AdaptorKind`: with one division per column."""
        return super().operations(blueprint, sizes) + sum(sizes)
