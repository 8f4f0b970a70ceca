/* SHA-512, for the digest and the signature of a model. */
#ifndef AURICLE_SHA512_H
#define AURICLE_SHA512_H

#include <stddef.h>
#include <stdint.h>

#define AURICLE_DIGEST_BYTES 64

typedef struct {
    uint64_t state[8];
    uint64_t length; /* bytes so far */
    uint8_t block[128];
} auricle_sha512;

void auricle_sha512_begin(auricle_sha512 *hash);
void auricle_sha512_add(auricle_sha512 *hash, const uint8_t *data, size_t length);
void auricle_sha512_end(auricle_sha512 *hash, uint8_t *digest);

#endif
