/* Ed25519 signature verification (RFC 8032).  Its inputs are public, so it does not run in constant
   time. */
#ifndef AURICLE_ED25519_H
#define AURICLE_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool auricle_ed25519_verify(const uint8_t signature[64], const uint8_t key[32],
                            const uint8_t *message, size_t length);

#endif
