/* Ed25519 (RFC 8032): whether a signature is right.  Nothing here is secret, and the time it takes
   depends on its arguments. */
#ifndef AURICLE_ED25519_H
#define AURICLE_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool auricle_ed25519_verify(const uint8_t signature[64], const uint8_t key[32],
                            const uint8_t *message, size_t length);

#endif
