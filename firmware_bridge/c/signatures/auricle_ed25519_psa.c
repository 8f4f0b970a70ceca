/* Ed25519 by the PSA Crypto API, for a driver that offers PSA_ALG_PURE_EDDSA on edwards25519.  Mbed
 * TLS alone does not; vendors' drivers do.  Call psa_crypto_init() before the first update.  Build
 * with -DAURICLE_ED25519_EXTERNAL. */
#include "auricle_ed25519.h"

#include <psa/crypto.h>

bool auricle_ed25519_verify(const uint8_t signature[64], const uint8_t key[32],
                            const uint8_t *message, size_t length)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t imported;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_TWISTED_EDWARDS));
    psa_set_key_bits(&attributes, 255);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_MESSAGE);
    psa_set_key_algorithm(&attributes, PSA_ALG_PURE_EDDSA);
    if (psa_import_key(&attributes, key, 32, &imported) != PSA_SUCCESS) {
        return false;
    }
    psa_status_t found =
        psa_verify_message(imported, PSA_ALG_PURE_EDDSA, message, length, signature, 64);
    return psa_destroy_key(imported) == PSA_SUCCESS && found == PSA_SUCCESS;
}
