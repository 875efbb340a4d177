// Stands in for glibc's allocator and counts: linked into a test program, its symbols win.
#include "allocation_counter.h"

#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static long allocations;

long coterie_allocations(void) { return __atomic_load_n(&allocations, __ATOMIC_RELAXED); }

__attribute__((unused)) static void count(void) { __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED); }

// A sanitizer stands in for the allocator itself: beneath it nothing is counted.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OTHER_ALLOCATOR
#endif
#endif

#ifndef HAS_OTHER_ALLOCATOR

void *malloc(size_t size) { count(); return __libc_malloc(size); }
void *calloc(size_t n, size_t size) { count(); return __libc_calloc(n, size); }
void *realloc(void *old, size_t size) { count(); return __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { count(); return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { count(); return __libc_memalign(alignment, size); }

int posix_memalign(void **place, size_t alignment, size_t size) {
  count();
  *place = __libc_memalign(alignment, size);
  return *place ? 0 : ENOMEM;
}

#endif
