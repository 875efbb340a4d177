#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/// Writes the 32 bytes of the SHA-256 of `bytes`; 1 for success.
static inline int coterie_sha256(const void *bytes, size_t count, unsigned char *digest) {
  return EVP_Digest(bytes, count, digest, NULL, EVP_sha256(), NULL);
}

/// Writes the 32 bytes of the HMAC-SHA256 of `bytes`; 1 for success.
static inline int coterie_hmac_sha256(const void *key, size_t key_count, const void *bytes,
                                      size_t count, unsigned char *code) {
  return HMAC(EVP_sha256(), key, (int)key_count, (const unsigned char *)bytes, count, code, NULL) !=
         NULL;
}
