"""What a search says and is told: blueprints, budgets, and the answer that nothing fits.

What each kind computes from x, the standardised columns of its taps side by side, d of them; z is
what the head reads, a is the activation, W are trained.  Fields a kind does not use keep their
default, so that equal adaptors have equal blueprints.

none        z = x.
linear      z = x W, W [d, width].
lowrank     z = x + a(x U) V, U [d, rank], V [rank, d]; depth times, one after another.
bottleneck  z = a(.. a(a(x W0) W1) ..), W0 [d, rank], W1 [rank, width], further [width, width]:
            depth layers after the narrow first one.
fusion      z = a(sum of g_t x_t W_t) over two taps or more, W_t [d_t, width]; gates g = softmax of
            one number a tap (rank 0), or of relu(x G) F, G [d, rank], F [rank, taps].
random      z = the first `width` numbers of a(H S .. H S x), nothing trained: x padded to a power
            of two, S seeded signs, H the Hadamard transform, depth times; further blocks with signs
            of their own where width is more than one block holds.
kernel      z_i = exp(-|x - x_i|^2) for `width` facts x_i of the domain at most, the landmarks; the
            domain's scale is in the columns.  Landmarks are kept as bytes, nothing is trained.
"""

from dataclasses import dataclass
from typing import Final

KINDS: Final = ("none", "linear", "lowrank", "bottleneck", "fusion", "random", "kernel")
"""Kinds of adaptor a blueprint may name; built by `edge.core.adaptors`."""

ACTIVATIONS: Final = ("none", "relu", "gelu", "tanh")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Blueprint:
    """An adaptor before training; the table above says what each kind makes of the fields.

    kind: one of KINDS.  taps: indices of the encoder's taps it reads, ascending.  width: columns it
    hands to the head (0: as many as it reads), of a kernel at most.  rank: of the inner layer, 0
    where there is none.  activation: one of ACTIVATIONS.  depth: inner layers.
    """

    kind: str
    taps: tuple[int, ...]
    width: int = 0
    rank: int = 0
    activation: str = "none"
    depth: int = 1

    def __str__(self) -> str:
        """Return the kind and its details."""
        return f"{self.kind}: {self.details}"

    @property
    def details(self) -> str:
        """What it reads and how large it is, in a few words; what is usual is left out."""
        size = f"{self.width} landmarks" if self.kind == "kernel" else f"width {self.width}"
        words = [f"taps {'+'.join(map(str, self.taps))}"]
        words += [size] if self.width else []
        words += [f"rank {self.rank}"] if self.rank else []
        words += [self.activation] if self.activation != "none" else []
        words += [f"depth {self.depth}"] if self.depth != 1 else []
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class AdaptorBudget:
    """Hard limits of an adaptor with its head.

    nbytes: of parameters.  operations: multiply-adds a sample.  latency_ms: a sample on the device
    that will serve it.
    """

    nbytes: int
    operations: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class NoFit:
    """Nothing fits, and why: an expected outcome, not an error."""

    reason: str
