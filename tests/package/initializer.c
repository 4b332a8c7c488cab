/* SPDX-License-Identifier: MIT */
/* RANGE_LOCK_INITIALIZER and RANGE_LOCK_INITIALIZER_FIFO, as C and as C++; layout.cc compares what
 * it makes. */
#include <mmrange/range_lock.h>

#ifdef __cplusplus
extern "C" {
#endif

extern struct range_lock c_lock, c_fifo;
extern const size_t c_sizes[7];

struct range_lock c_lock = RANGE_LOCK_INITIALIZER;
struct range_lock c_fifo = RANGE_LOCK_INITIALIZER_FIFO;
const size_t c_sizes[7] = { sizeof(struct range_lock),         sizeof(struct range_hold),
			    sizeof(struct range_lock_attr),    sizeof(struct range_lock_stats),
			    sizeof(struct range_info),         sizeof(struct range_lock_times),
			    sizeof(struct range_lock_counters) };

#ifdef __cplusplus
}
#endif
