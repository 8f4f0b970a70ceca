/* Ed25519 by Monocypher 4 (monocypher.c, monocypher.h); the hash is auricle_sha512.c, which the
 * digest of a model needs anyway.  Build with -DAURICLE_ED25519_EXTERNAL. */
#include "auricle_ed25519.h"
#include "auricle_sha512.h"
#include "monocypher.h"

bool auricle_ed25519_verify(const uint8_t signature[64], const uint8_t key[32],
                            const uint8_t *message, size_t length)
{
    auricle_sha512 hash;
    uint8_t digest[AURICLE_DIGEST_BYTES], challenge[32];
    auricle_sha512_begin(&hash);
    auricle_sha512_add(&hash, signature, 32);
    auricle_sha512_add(&hash, key, 32);
    auricle_sha512_add(&hash, message, length);
    auricle_sha512_end(&hash, digest);
    crypto_eddsa_reduce(challenge, digest);
    return crypto_eddsa_check_equation(signature, key, challenge) == 0;
}
