/* Ed25519 signature verification (RFC 8032).  Its inputs are public, so it does not run in constant
 * time.
 *
 * With -DAURICLE_ED25519_EXTERNAL auricle_ed25519.c defines nothing, and the firmware defines this
 * function with an implementation that its vendor maintains.  signatures/ holds it for Monocypher
 * and for the PSA Crypto API. */
#ifndef AURICLE_ED25519_H
#define AURICLE_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns whether `signature` (R, then S) is that of `key` over the message. */
bool auricle_ed25519_verify(const uint8_t signature[64], const uint8_t key[32],
                            const uint8_t *message, size_t length);

#endif
