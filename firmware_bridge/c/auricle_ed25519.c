/* Ed25519 (RFC 8032, section 5.1).  Numbers of 256 bits are eight words, the lowest first.
   Field elements are any representatives below 2^256; there 2^256 is congruent to 38. */
#include "auricle_ed25519.h"

#ifndef AURICLE_ED25519_EXTERNAL

#include <string.h>

#include "auricle_sha512.h"

typedef uint32_t num[8];
typedef struct {
    num x, y, z, t;
} point;

static const num curve_d = {
    0x135978A3, 0x75EB4DCA, 0x4141D8AB, 0x00700A4D, 0x7779E898, 0x8CC74079, 0x2B6FFE73, 0x52036CEE,
};
static const num root_of_minus_one = {
    0x4A0EA0B0, 0xC4EE1B27, 0xAD2FE478, 0x2F431806, 0x3DFBD7A7, 0x2B4D0099, 0x4FC1DF0B, 0x2B832480,
};
static const num base_x = {
    0x8F25D51A, 0xC9562D60, 0x9525A7B2, 0x692CC760, 0xFDD6DC5C, 0xC0A4E231, 0xCD6E53FE, 0x216936D3,
};
static const num base_y = {
    0x66666658, 0x66666666, 0x66666666, 0x66666666, 0x66666666, 0x66666666, 0x66666666, 0x66666666,
};
static const num order = {
    0x5CF5D3ED, 0x5812631A, 0xA2F79CD6, 0x14DEF9DE, 0x00000000, 0x00000000, 0x00000000, 0x10000000,
};
static const num prime = {
    0xFFFFFFED, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0x7FFFFFFF,
};
static const num one = {1};

/* a += b; returns the carry out of 256 bits. */
static uint32_t add_to(num a, const num b) {
    uint64_t carry = 0;
    for (unsigned i = 0; i < 8; i++) {
        carry += (uint64_t)a[i] + b[i];
        a[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return (uint32_t)carry;
}

/* a -= b; returns the borrow. */
static uint32_t take_from(num a, const num b) {
    uint64_t borrow = 0;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t rest = (uint64_t)a[i] - b[i] - borrow;
        a[i] = (uint32_t)rest;
        borrow = rest >> 63;
    }
    return (uint32_t)borrow;
}

static bool below(const num a, const num b) {
    num rest;
    memcpy(rest, a, sizeof rest);
    return take_from(rest, b) != 0;
}

/* Adds the carry out of 256 bits back, 38 for each. */
static void fold(num a, uint32_t beyond) {
    while (beyond > 0) {
        num more = {0};
        uint64_t value = (uint64_t)beyond * 38;
        more[0] = (uint32_t)value;
        more[1] = (uint32_t)(value >> 32);
        beyond = add_to(a, more);
    }
}

static void add(num out, const num a, const num b) {
    num sum;
    memcpy(sum, a, sizeof sum);
    fold(sum, add_to(sum, b));
    memcpy(out, sum, sizeof sum);
}

static void sub(num out, const num a, const num b) {
    static const num thirty_eight = {38};
    num rest;
    memcpy(rest, a, sizeof rest);
    if (take_from(rest, b)) {
        while (take_from(rest, thirty_eight)) {
        }
    }
    memcpy(out, rest, sizeof rest);
}

static void mul(num out, const num a, const num b) {
    uint32_t wide[16] = {0};
    for (unsigned i = 0; i < 8; i++) {
        uint64_t carry = 0;
        for (unsigned j = 0; j < 8; j++) {
            carry += (uint64_t)a[i] * b[j] + wide[i + j];
            wide[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        wide[i + 8] = (uint32_t)carry;
    }
    uint64_t carry = 0;
    for (unsigned i = 0; i < 8; i++) {
        carry += (uint64_t)wide[i + 8] * 38 + wide[i];
        out[i] = (uint32_t)carry;
        carry >>= 32;
    }
    fold(out, (uint32_t)carry);
}

/* Reduces to the representative below the prime. */
static void settle(num a) {
    for (unsigned i = 0; i < 3; i++) {
        num rest;
        memcpy(rest, a, sizeof rest);
        if (!take_from(rest, prime)) {
            memcpy(a, rest, sizeof rest);
        }
    }
}

static bool same(const num a, const num b) {
    num rest;
    sub(rest, a, b);
    settle(rest);
    static const num zero = {0};
    return memcmp(rest, zero, sizeof rest) == 0;
}

/* a to the power of 2^255 - 21, its inverse; with `root`, to the power of 2^252 - 3. */
static void power(num out, const num a, bool root) {
    num found;
    memcpy(found, one, sizeof found);
    /* In binary, 2^255 - 21 is 250 ones and 01011; 2^252 - 3 is 250 ones and 01. */
    unsigned tail = root ? 1 : 11;
    unsigned tail_bits = root ? 2 : 5;
    for (unsigned bit = 250 + tail_bits; bit-- > 0;) {
        mul(found, found, found);
        if (bit >= tail_bits || tail >> bit & 1) {
            mul(found, found, a);
        }
    }
    memcpy(out, found, sizeof found);
}

/* Adds two points (RFC 8032, section 5.1.4), which may be equal. */
static void join(point *out, const point *p, const point *q) {
    num a, b, c, d, e;
    sub(a, p->y, p->x);
    sub(b, q->y, q->x);
    mul(a, a, b);
    add(b, p->y, p->x);
    add(c, q->y, q->x);
    mul(b, b, c);
    mul(c, p->t, q->t);
    mul(c, c, curve_d);
    add(c, c, c);
    mul(d, p->z, q->z);
    add(d, d, d);
    sub(e, b, a);
    add(b, b, a);
    sub(a, d, c);
    add(d, d, c);
    mul(out->x, e, a);
    mul(out->y, d, b);
    mul(out->t, e, b);
    mul(out->z, a, d);
}

static void load(num out, const uint8_t *data) {
    for (unsigned i = 0; i < 8; i++) {
        out[i] = data[4 * i] | (uint32_t)data[4 * i + 1] << 8 | (uint32_t)data[4 * i + 2] << 16
                 | (uint32_t)data[4 * i + 3] << 24;
    }
}

/* Computes the x of a point with this y (RFC 8032, section 5.1.3); false if none exists. */
static bool solve(num x, const num y) {
    num u, v, v3;
    mul(u, y, y);
    mul(v, u, curve_d);
    sub(u, u, one);
    add(v, v, one);
    mul(v3, v, v);
    mul(v3, v3, v);
    mul(x, v3, v3);
    mul(x, x, v);
    mul(x, x, u);
    power(x, x, true);
    mul(x, x, v3);
    mul(x, x, u);
    mul(v3, x, x);
    mul(v3, v3, v);
    if (!same(v3, u)) {
        mul(x, x, root_of_minus_one);
        mul(v3, x, x);
        mul(v3, v3, v);
    }
    return same(v3, u);
}

/* Decodes the negative of the point of a key. */
static bool load_negative(point *out, const uint8_t *key) {
    static const num zero = {0};
    uint32_t sign = key[31] >> 7;
    load(out->y, key);
    out->y[7] &= 0x7FFFFFFF;
    if (!below(out->y, prime) || !solve(out->x, out->y)) {
        return false;
    }
    settle(out->x);
    if (same(out->x, zero) && sign) {
        return false;
    }
    if ((out->x[0] & 1) == sign) {
        sub(out->x, zero, out->x);
    }
    memcpy(out->z, one, sizeof one);
    mul(out->t, out->x, out->y);
    return true;
}

/* Reduces a number of 512 bits modulo the order, bit by bit. */
static void remainder_of(num out, const uint8_t *digest) {
    num found = {0};
    for (unsigned bit = 512; bit-- > 0;) {
        add_to(found, found);
        found[0] |= digest[bit / 8] >> (bit % 8) & 1;
        if (!below(found, order)) {
            take_from(found, order);
        }
    }
    memcpy(out, found, sizeof found);
}

/* first * base point + second * `other`. */
static void combine(point *out, const num first, const num second, const point *other) {
    point base, both;
    memcpy(base.x, base_x, sizeof base_x);
    memcpy(base.y, base_y, sizeof base_y);
    memcpy(base.z, one, sizeof one);
    mul(base.t, base_x, base_y);
    join(&both, &base, other);
    memset(out, 0, sizeof *out);
    out->y[0] = out->z[0] = 1;
    for (unsigned bit = 256; bit-- > 0;) {
        bool left = first[bit / 32] >> (bit % 32) & 1;
        bool right = second[bit / 32] >> (bit % 32) & 1;
        join(out, out, out);
        if (left || right) {
            join(out, out, left && right ? &both : left ? &base : other);
        }
    }
}

bool auricle_ed25519_verify(const uint8_t signature[64], const uint8_t key[32],
                            const uint8_t *message, size_t length) {
    auricle_sha512 hash;
    uint8_t digest[AURICLE_DIGEST_BYTES];
    num scalar, challenge, x, y;
    point negative, found;
    load(scalar, signature + 32);
    if (!below(scalar, order) || !load_negative(&negative, key)) {
        return false;
    }
    auricle_sha512_begin(&hash);
    auricle_sha512_add(&hash, signature, 32);
    auricle_sha512_add(&hash, key, 32);
    auricle_sha512_add(&hash, message, length);
    auricle_sha512_end(&hash, digest);
    remainder_of(challenge, digest);
    combine(&found, scalar, challenge, &negative);
    power(found.z, found.z, false);
    mul(x, found.x, found.z);
    mul(y, found.y, found.z);
    settle(x);
    settle(y);
    y[7] |= x[0] << 31;
    load(x, signature);
    return memcmp(x, y, sizeof x) == 0;
}

#endif /* AURICLE_ED25519_EXTERNAL */
