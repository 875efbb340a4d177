#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

// What Swift does not see: macros of OpenSSL, and callbacks.

/// Gives the password in `context`, a C string, and none when that is empty: nobody is asked at a terminal.
static int coterie_tls_password(char *buffer, int size, int writing, void *context) {
  (void)writing;
  size_t count = context ? strlen((const char *)context) : 0;
  if (count == 0 || count > (size_t)size) return 0;
  memcpy(buffer, context, count);
  return (int)count;
}

static inline void coterie_tls_set_password(SSL_CTX *context, char *password) {
  SSL_CTX_set_default_passwd_cb(context, coterie_tls_password);
  SSL_CTX_set_default_passwd_cb_userdata(context, password);
}

/// Buffers that move between two attempts to write, writes of a part, no memory for what is idle; and
/// nothing older than TLS 1.2, no compression, no second handshake on a connection.
static inline int coterie_tls_prepare(SSL_CTX *context) {
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // Else a client that sends key updates without end keeps one call of SSL_read busy.
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_dh_auto(context, 1);
  return (int)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}

static inline void coterie_tls_forbid_1_2(SSL_CTX *context) { SSL_CTX_set_options(context, SSL_OP_NO_TLSv1_2); }
static inline void coterie_tls_forbid_1_3(SSL_CTX *context) { SSL_CTX_set_options(context, SSL_OP_NO_TLSv1_3); }

static inline void coterie_tls_prefer_own_ciphers(SSL_CTX *context) {
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
}

/// A session of the clients' port may not be taken up at the peers', where a certificate is needed.
static inline void coterie_tls_part_from_clients(SSL *stream) {
  SSL_set_session_id_context(stream, (const unsigned char *)"coterie peer", 12);
}

/// Sessions that are taken up again: so many, for so many seconds; 0 for none at all.
static inline void coterie_tls_keep_sessions(SSL_CTX *context, int caching, long count, long seconds) {
  SSL_CTX_set_session_id_context(context, (const unsigned char *)"coterie", 7);
  if (caching) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(context, count);
    SSL_CTX_set_timeout(context, seconds);
  } else {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  }
}

static inline void coterie_tls_verify(SSL *stream, int mode) { SSL_set_verify(stream, mode, NULL); }
