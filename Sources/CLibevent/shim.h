// First, because libevent asks for GNU names before it includes this: modules must not see two `fd_set`s.
#include <sys/select.h>

#include <event2/event.h>
