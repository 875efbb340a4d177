#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

// What Swift's Glibc module does not show: variadic functions and GNU extensions.

/// This process is ended when the thread that started it ends.
static inline int coterie_end_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGTERM); }

/// Makes a descriptor non-blocking and closed in programs that this one starts.
static inline int coterie_prepare_descriptor(int descriptor) {
  if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0) return -1;
  return fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

int accept4(int, struct sockaddr *, socklen_t *, int);

/// Takes a waiting connection, non-blocking and closed in programs that this one starts.
static inline int coterie_accept(int listener, struct sockaddr *address, socklen_t *length) {
  return accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
