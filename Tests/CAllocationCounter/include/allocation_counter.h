#pragma once

/// Allocations of the calling thread since its start: what other threads of a test program do
/// meanwhile is not counted.
long coterie_allocations(void);
