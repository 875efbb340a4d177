#include <openssl/crypto.h>
#include <openssl/evp.h>

/// Writes the 32 bytes of the SHA-256 of `bytes`; 1 for success.
static inline int coterie_sha256(const void *bytes, size_t count, unsigned char *digest) {
  return EVP_Digest(bytes, count, digest, NULL, EVP_sha256(), NULL);
}
