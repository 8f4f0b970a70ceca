"""The interface of the search: blueprints, budgets, and the result that nothing fits.

The formulas of the kinds: x are the d standardised columns of the taps side by side, z the inputs
of the head, a the activation, W trained matrices.  Unused fields of a kind keep their default, so
that equal adaptors have equal blueprints.

none        z = x.
linear      z = x W, W [d, width].
lowrank     z = x + a(x U) V, U [d, rank], V [rank, d]; depth times, one after another.
sliced      as lowrank; each of the depth layers is trained on one more slice of the facts than the
            layer before, which then stays as it is.
bottleneck  z = a(.. a(a(x W0) W1) ..), W0 [d, rank], W1 [rank, width], further [width, width]:
            depth layers after the narrow first one.
fusion      z = a(sum of g_t x_t W_t) over two taps or more, W_t [d_t, width]; gates g = softmax of
            one number a tap (rank 0), or of relu(x G) F, G [d, rank], F [rank, taps].
random      z = the first `width` numbers of a(H S .. H S x), nothing trained: x padded to a power
            of two, S seeded signs, H the Hadamard transform, depth times; widths beyond one block
            use further blocks with other signs.
kernel      z_i = exp(-|x - x_i|^2) for at most `width` facts x_i of the domain, the landmarks; the
            bandwidth is in the scale of the columns.  Landmarks are kept as bytes without training.
hydra       z = h + a(x U0) V0 + h U1 V1 with h = x W, W [d, width] trained before the branches and
            then frozen; width 0: h = x.
adapter     z_t = x_t + a(x_t U_t) V_t for each tap t, U_t [d_t, rank]; depth 2: another such one
            before it, on the columns before they are scaled.  adapter_direct: without x_t.
adapter_parallel  z_t = x_t + a(c_t U_t) V_t, c_t the columns before they are scaled.
sparse      z = x + x D, D [d, d] with depth x rank x d entries that are not zero.
pool        z = x + x U_k V_k, or at rank 0 x (1 + g_k), with the one of depth modulators k whose
            key has the largest cosine with x.
mhr, mhr_z, mhr_mu  z = x + a(x U) V, put together from an inventory of depth skills.
mixture     z = x + a(x U) V' + sum over depth domains j of p_j a(x D_j) V_j, p = softmax(x F).
"""

from dataclasses import dataclass, fields
from typing import Final

KINDS: Final = (
    "none",
    "linear",
    "lowrank",
    "sliced",
    "bottleneck",
    "fusion",
    "random",
    "kernel",
    "hydra",
    "adapter",
    "adapter_parallel",
    "adapter_direct",
    "sparse",
    "pool",
    "mhr",
    "mhr_z",
    "mhr_mu",
    "mixture",
)
"""The kinds of adaptor; `edge.core.adaptors` implements them."""

ACTIVATIONS: Final = ("none", "relu", "gelu", "tanh")

PLAIN: Final = "plain"
"""The recipe of a blueprint that names none: its repr and its stored form leave it out, so that
digests of adaptors from before there were recipes stay as they are."""

RECIPES: Final = (
    PLAIN,
    "corda",
    "corda-kept",
    "learngene",
    "guided",
    "guided-untrained",
    "rewarm",
    "budget-free",
    "warm-start",
    "logit-swap",
    "emulated",
)
"""The recipes that train parameters; `edge.growth.recipes` implements them."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Blueprint:
    """The architecture of an adaptor; the table above has the formula of each kind.

    kind: one of KINDS.  taps: indices of the encoder's taps that it reads, ascending.  width:
    inputs of the head (0: all columns read; for a kernel an upper bound).  rank: width of the inner
    layer, 0 without one.  activation: one of ACTIVATIONS.  depth: inner layers, or modulators,
    skills or domains.  recipe: one of RECIPES, how the parameters are trained; formula and cost do
    not depend on it."""

    kind: str
    taps: tuple[int, ...]
    width: int = 0
    rank: int = 0
    activation: str = "none"
    depth: int = 1
    recipe: str = PLAIN

    def __repr__(self) -> str:
        """Return the fields; a plain recipe is left out (see PLAIN)."""
        named = [one.name for one in fields(self)]
        if self.recipe == PLAIN:
            named.remove("recipe")
        return f"Blueprint({', '.join(f'{name}={getattr(self, name)!r}' for name in named)})"

    def __str__(self) -> str:
        """Return the kind and its details."""
        return f"{self.kind}: {self.details}"

    @property
    def details(self) -> str:
        """Taps and sizes as text; default values are left out."""
        size = f"{self.width} landmarks" if self.kind == "kernel" else f"width {self.width}"
        words = [f"taps {'+'.join(map(str, self.taps))}"]
        words += [size] if self.width else []
        words += [f"rank {self.rank}"] if self.rank else []
        words += [self.activation] if self.activation != "none" else []
        words += [f"depth {self.depth}"] if self.depth != 1 else []
        words += [f"recipe {self.recipe}"] if self.recipe != PLAIN else []
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class AdaptorBudget:
    """Hard limits of an adaptor with its head.

    nbytes: of parameters.  operations: multiply-adds per sample.  latency_ms: of one sample on the
    serving device.
    """

    nbytes: int
    operations: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class NoFit:
    """No blueprint fits, with the reason: an expected outcome, not an error."""

    reason: str
