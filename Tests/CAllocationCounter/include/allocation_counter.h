#pragma once

/// Allocations of this process since its start.
long coterie_allocations(void);
