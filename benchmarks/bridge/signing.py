"""Ed25519 in plain Python (RFC 8032, sections 5.1 and 6), for the models that benchmarks and tests
send.  Slow and not hardened: use a maintained library for real keys."""

from dataclasses import dataclass
from hashlib import sha512

P = 2**255 - 19
"""The prime of the field, RFC 8032 section 5.1."""
ORDER = 2**252 + 27742317777372353535851937790883648493
"""The order L of the base point, RFC 8032 section 5.1."""
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]


def _join(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    found = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            found = _join(found, point)
        point = _join(point, point)
        scalar >>= 1
    return found


def _root(value: int) -> int | None:
    root = pow(value, (P + 3) // 8, P)
    if (root * root - value) % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    return None if (root * root - value) % P else root


def _point(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x = _root((y * y - 1) * pow(D * y * y + 1, P - 2, P) % P)
    if y >= P or x is None or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def _packed(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_FOUND = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
assert _FOUND is not None
BASE: Point = _FOUND


def _number(*parts: bytes) -> int:
    return int.from_bytes(sha512(b"".join(parts)).digest(), "little")


@dataclass(frozen=True)
class Signer:
    """A secret of 32 bytes and the values derived from it."""

    secret: bytes

    @property
    def _scalar(self) -> int:
        low = int.from_bytes(sha512(self.secret).digest()[:32], "little")
        return low & ((1 << 254) - 8) | 1 << 254

    @property
    def key(self) -> bytes:
        """The public key."""
        return _packed(_times(self._scalar, BASE))

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes."""
        nonce = _number(sha512(self.secret).digest()[32:], message) % ORDER
        point = _packed(_times(nonce, BASE))
        challenge = _number(point, self.key, message)
        return point + ((nonce + challenge * self._scalar) % ORDER).to_bytes(32, "little")


def verify(key: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether a signature is valid."""
    public, scalar = _point(key), int.from_bytes(signature[32:], "little")
    if public is None or scalar >= ORDER:
        return False
    challenge = _number(signature[:32], key, message) % ORDER
    negative = (P - public[0], public[1], 1, P - public[3])
    return _packed(_join(_times(scalar, BASE), _times(challenge, negative))) == signature[:32]
