"""Ed25519 in C: Wycheproof's vectors, crafted signatures, and other implementations instead."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from hashlib import sha512
from pathlib import Path

import pytest

from benchmarks.bridge.board import M3, build_signatures, missing_tools, verify_on
from benchmarks.bridge.native import SOURCES, STRICT
from benchmarks.bridge.signing import BASE, ORDER, P, Signer, _packed, _times
from firmware_bridge import UpdateBegin, encode_message
from firmware_bridge.errors import BridgeError

VECTORS = json.loads((Path(__file__).parent / "wycheproof_ed25519.json").read_text("utf-8"))
CASES = [
    (bytes.fromhex(group["key"]), number, comment, bytes.fromhex(message), bytes.fromhex(signature))
    for group in VECTORS["groups"]
    for number, comment, message, signature, _ in group["tests"]
]
EXPECTED = {
    number: result == "valid"
    for group in VECTORS["groups"]
    for number, _, _, _, result in group["tests"]
}
FITTING = [case for case in CASES if len(case[4]) == 64]
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
emulated = pytest.mark.skipif(
    bool(missing_tools()), reason=f"nothing was run on boards: {missing_tools()} not installed"
)

NONCE = 12_345

OPENSSL = """
#include "auricle_ed25519.h"
#include <openssl/evp.h>
bool auricle_ed25519_verify(const uint8_t signature[64], const uint8_t key[32],
                            const uint8_t *message, size_t length)
{
    EVP_PKEY *known = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, 32);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool found = known && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, known) == 1
                 && EVP_DigestVerify(context, signature, 64, message, length) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(known);
    return found;
}
"""


def differing(program: Path, **more) -> list[tuple[int, str]]:
    """The vectors on which a program differs from Wycheproof, by number and comment."""
    records = [(signature, key, message) for key, _, _, message, signature in FITTING]
    found = verify_on(program, records, **more)
    assert len(found) == len(FITTING)
    return [
        (case[1], case[2])
        for case, valid in zip(FITTING, found, strict=True)
        if valid != EXPECTED[case[1]]
    ]


@needs_gcc
def test_every_vector_of_wycheproof_has_its_result_on_a_pc(tmp_path):
    """145 signatures, among them malleable ones and special values of R and S; with sanitizers."""
    assert len(CASES) == 145
    assert sum(EXPECTED.values()) == 84
    assert differing(build_signatures(tmp_path)) == []


@emulated
def test_every_vector_of_wycheproof_has_its_result_on_a_board(tmp_path):
    """A Cortex-M3 accepts and refuses the same."""
    assert differing(build_signatures(tmp_path, M3), board=M3) == []


def test_signatures_of_another_length_never_reach_the_verifier():
    """Wycheproof's truncated and lengthened signatures fit no message of the link."""
    others = [case for case in CASES if len(case[4]) != 64]
    assert len(others) == 12
    for _, number, _, _, signature in others:
        assert not EXPECTED[number]
        with pytest.raises(BridgeError):
            encode_message(UpdateBegin(1, 1, bytes(64), signature))


@needs_gcc
def test_signatures_crafted_with_the_key_are_refused(tmp_path):
    """Other encodings of R that the holder of the key signs into S, S plus the order, and keys
    that encode no point: a signature has one form, and a key too."""
    signer, message = Signer(bytes(range(32))), b"a model"
    secret = int.from_bytes(sha512(signer.secret).digest()[:32], "little")
    secret = secret & ((1 << 254) - 8) | 1 << 254
    point = _packed(_times(NONCE, BASE))

    def signed(encoded: bytes, key: bytes = signer.key, scalar: int = secret) -> bytes:
        return encoded + ((NONCE + challenge(encoded, key) * scalar) % ORDER).to_bytes(32, "little")

    def challenge(encoded: bytes, key: bytes) -> int:
        return int.from_bytes(sha512(encoded + key + message).digest(), "little") % ORDER

    good = signed(point)
    lifted = good[:32] + (int.from_bytes(good[32:], "little") + ORDER).to_bytes(32, "little")
    changed = [point[:at] + bytes([point[at] ^ 1]) + point[at + 1 :] for at in range(32)]
    changed += [point[:31] + bytes([point[31] ^ 0x80])]
    records = [(good, signer.key, message), (lifted, signer.key, message)]
    records += [(signed(one), signer.key, message) for one in changed]
    # The neutral point, written with y = p + 1 and with a sign of x = 0: whoever decodes such a key
    # accepts a signature that anybody can make.
    keys = [(P + 1).to_bytes(32, "little"), b"\1" + bytes(30) + b"\x80"]
    records += [(signed(point, key, 0), key, message) for key in keys]
    assert verify_on(build_signatures(tmp_path), records) == [True, *[False] * (len(records) - 1)]


@needs_gcc
def test_openssl_takes_the_place_of_ours_at_link_time(tmp_path):
    """With AURICLE_ED25519_EXTERNAL ours defines nothing, and the firmware's own function is
    called; it agrees on every vector."""
    if not Path("/usr/include/openssl/evp.h").exists():
        pytest.skip("the headers of OpenSSL are not installed")
    (tmp_path / "vendor.c").write_text(OPENSSL, "utf-8")
    program = build_signatures(tmp_path, external=[tmp_path / "vendor.c"], flags=["-lcrypto"])
    assert differing(program) == []
    symbols = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    assert "EVP_DigestVerify" in symbols
    assert "remainder_of" not in symbols


@needs_gcc
@pytest.mark.parametrize("board", [None, pytest.param(M3, marks=emulated)], ids=["pc", "m3"])
def test_monocypher_takes_the_place_of_ours(tmp_path, board):
    """The shipped adapter to Monocypher agrees on every vector, on a PC and on a Cortex-M3."""
    folder = os.environ.get("AURICLE_MONOCYPHER")
    if not folder:
        pytest.skip("needs AURICLE_MONOCYPHER: a folder with monocypher.c and monocypher.h")
    sources = [SOURCES / "signatures" / "auricle_ed25519_monocypher.c"]
    sources += [Path(folder) / "monocypher.c"]
    program = build_signatures(tmp_path, board, sources, [f"-I{folder}"])
    assert differing(program, board=board) == []


@needs_gcc
def test_the_adapter_to_psa_compiles(tmp_path):
    """Strictly, against the headers of Mbed TLS, which declare the API but implement no EdDSA."""
    if not Path("/usr/include/psa/crypto.h").exists():
        pytest.skip("the headers of Mbed TLS are not installed")
    source = SOURCES / "signatures" / "auricle_ed25519_psa.c"
    flags = [*STRICT, "-isystem", "/usr/include", f"-I{SOURCES}"]
    built = subprocess.run(
        ["gcc", *flags, "-c", source, "-o", tmp_path / "psa.o"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
