// SPDX-License-Identifier: MIT
// C and C++ agree on the public structures, which stay within the sizes that the header promises.
#include <mmrange/mmrange.h>

#include <cstdio>
#include <cstring>

static_assert(sizeof(struct range_lock) <= 256, "promised in range_lock.h");
static_assert(sizeof(struct range_hold) <= 192, "promised in range_lock.h");

extern "C" {
extern struct range_lock c_lock, c_fifo;
extern const size_t c_sizes[7];
}

static struct range_lock cxx_lock = RANGE_LOCK_INITIALIZER;
static constexpr struct range_lock cxx_fifo = RANGE_LOCK_INITIALIZER_FIFO;

static bool all_zero(const struct range_lock *lock)
{
	unsigned char bytes[sizeof *lock];

	std::memcpy(bytes, lock, sizeof bytes);
	for (unsigned char byte : bytes)
		if (byte)
			return false;
	return true;
}

int main()
{
	const size_t cxx_sizes[7] = {
		sizeof(struct range_lock),         sizeof(struct range_hold),
		sizeof(struct range_lock_attr),    sizeof(struct range_lock_stats),
		sizeof(struct range_info),         sizeof(struct range_lock_times),
		sizeof(struct range_lock_counters)
	};

	if (std::memcmp(c_sizes, cxx_sizes, sizeof cxx_sizes)) {
		std::puts("the sizes of structures differ in C and C++");
		return 1;
	}
	if (!all_zero(&c_lock) || !all_zero(&cxx_lock)) {
		std::puts("RANGE_LOCK_INITIALIZER is not all zero");
		return 1;
	}
	if (std::memcmp(&c_fifo, &cxx_fifo, sizeof c_fifo) || all_zero(&c_fifo)) {
		std::puts("RANGE_LOCK_INITIALIZER_FIFO differs in C and C++");
		return 1;
	}
	if (std::strcmp(mmrange_version(), MMRANGE_VERSION_STRING)) {
		std::puts("the headers' version is not the library's");
		return 1;
	}
	struct range_lock lock;

	if (range_lock_init(&lock, nullptr) || range_lock_destroy(&lock))
		return 1;
	struct range_hold range;
	int error = range_lock(&cxx_lock, &range, 0, UINT64_MAX, RANGE_WRITE);

	if (error)
		return 1;
	range_unlock(&cxx_lock, &range);
	return range_lock_destroy(&cxx_lock);
}
