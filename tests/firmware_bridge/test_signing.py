"""The signatures that the tests and benchmarks of model updates make."""

from __future__ import annotations

from benchmarks.bridge.signing import Signer, verify


def test_signatures_are_those_of_rfc_8032() -> None:
    """The signer of these tests makes the signatures of RFC 8032, section 7.1, tests 1 to 3."""
    for secret, key, message, start in RFC_8032:
        signer = Signer(bytes.fromhex(secret))
        assert signer.key.hex() == key
        signature = signer.sign(bytes.fromhex(message))
        assert signature.hex().startswith(start)
        assert verify(signer.key, signature, bytes.fromhex(message))
        assert not verify(signer.key, signature, b"another")


RFC_8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
    ),
)
