#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// What Swift's Glibc module does not show: variadic functions and GNU extensions.

/// This process is ended when the thread that started it ends.
static inline int coterie_end_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGTERM); }

/// No transparent huge pages for this process: a half used megabyte would become a whole two.
static inline int coterie_refuse_huge_pages(void) {
  return prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

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

/// Nanoseconds of the monotonic clock. 28 ns a call where it was measured.
static inline uint64_t coterie_monotonic_nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/// The processor's own time stamp: 11 ns a call. 0 where there is none that this knows how to read.
static inline uint64_t coterie_time_stamp(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t stamp;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(stamp));
  return stamp;
#else
  return 0;
#endif
}

// For coterie-bench, whose load generator holds thousands of connections.

/// Lets the thread, and those that it starts, run on one core only.
static inline int coterie_pin_to_core(int core) {
  unsigned long mask[16] = {0};
  if (core < 0 || core >= (int)sizeof(mask) * 8) return -1;
  mask[core / (8 * (int)sizeof(long))] = 1UL << (core % (8 * (int)sizeof(long)));
  return (int)syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask);
}

/// Tells which connection, by its index, has bytes or an end to offer.
static inline int coterie_epoll_add(int epoll, int descriptor, unsigned events, unsigned index) {
  struct epoll_event event = {.events = events, .data = {.u32 = index}};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}
