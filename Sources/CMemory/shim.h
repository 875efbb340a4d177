// Memory by pages, for buffers and values that are too large to be copied or freed in one go.
//
// Beside the allocator because of what it does not promise: that growing moves page tables instead of
// bytes (mremap), that a part can be given back while the rest stays (madvise), and that a freed
// megabyte really goes. Nothing here can make two runs of a node differ: no address, no time and no
// figure of the kernel reaches a decision.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <stddef.h>
#include <sys/mman.h>

// mremap's prototype stands behind _GNU_SOURCE, which a module can't set for headers read before.
extern void *mremap(void *, size_t, size_t, int, ...);
extern int madvise(void *, size_t, int);

#define COTERIE_MREMAP_MAYMOVE 1
#define COTERIE_MREMAP_FIXED 2
#define COTERIE_MADV_DONTNEED 4
#define COTERIE_MAP_ANONYMOUS 0x20
#define COTERIE_MAP_NORESERVE 0x4000

/// Between two addresses that differ by a multiple of this the kernel moves 512 pages in one step;
/// else one by one, 40 ms for 256 MiB.
#define COTERIE_STEP ((size_t)2 << 20)

/// Addresses for `bytes` that begin at a step; NULL when there are none left.
static inline char *coterie_pages_map(size_t bytes, int protection, int flags) {
  size_t spare = bytes >= COTERIE_STEP ? COTERIE_STEP : 0;
  char *base = (char *)mmap(
      NULL, bytes + spare, protection, MAP_PRIVATE | COTERIE_MAP_ANONYMOUS | flags, -1, 0);
  if (base == (char *)MAP_FAILED) return NULL;
  if (spare == 0) return base;
  size_t before = (COTERIE_STEP - (size_t)base % COTERIE_STEP) % COTERIE_STEP;
  if (before > 0) (void)munmap(base, before);
  if (before < spare) (void)munmap(base + before + bytes, spare - before);
  return base + before;
}

/// Fresh pages, all zeros; NULL when there is no address space left.
static inline void *coterie_pages_take(size_t bytes) {
  return coterie_pages_map(bytes, PROT_READ | PROT_WRITE, 0);
}

/// The same pages in a run of another length, maybe elsewhere; no byte is copied.
static inline void *coterie_pages_resize(void *base, size_t old_bytes, size_t bytes) {
  void *moved = mremap(base, old_bytes, bytes, 0);
  if (moved != MAP_FAILED) return moved;
  // Where it goes must be as far from a step as where it is.
  size_t offset = (size_t)base % COTERIE_STEP;
  size_t room = bytes + offset < COTERIE_STEP ? COTERIE_STEP : bytes + offset;
  char *place = coterie_pages_map(room, PROT_NONE, COTERIE_MAP_NORESERVE);
  if (place == NULL) return NULL;
  moved = mremap(
      base, old_bytes, bytes, COTERIE_MREMAP_MAYMOVE | COTERIE_MREMAP_FIXED, place + offset);
  if (moved == MAP_FAILED) {
    (void)munmap(place, room);
    return NULL;
  }
  if (offset > 0) (void)munmap(place, offset);
  if (offset + bytes < room) (void)munmap(place + offset + bytes, room - offset - bytes);
  return moved;
}

/// Gives the memory of whole pages back; they read as zeros from now on.
static inline void coterie_pages_clear(void *base, size_t bytes) {
  (void)madvise(base, bytes, COTERIE_MADV_DONTNEED);
}

/// Begins to fetch the cache line at an address, which may be any: nothing waits for it.
static inline void coterie_prefetch(const void *address) { __builtin_prefetch(address); }

/// Gives pages and their addresses back.
static inline void coterie_pages_release(void *base, size_t bytes) { (void)munmap(base, bytes); }
