// SPDX-License-Identifier: MIT
// Threads fill the blocks of a file, each the next one that is free. A guard releases its block
// wherever it goes out of scope, and a function can return it: the range_hold stays with the
// caller.
#include <mmrange/range_lock.hpp>

#include <cstdint>
#include <iostream>
#include <thread>

static constexpr std::uint64_t nr_blocks = 64;

static mmrange::range_mutex mutex;
static unsigned int filled[nr_blocks];

// Holds a block that is to be filled; nothing if other threads fill the last ones.
static mmrange::range_guard claim_block(range_hold &hold)
{
	for (std::uint64_t block = 0; block < nr_blocks; block++) {
		mmrange::range_guard guard(mutex, hold, block, block + 1, RANGE_WRITE,
					   std::try_to_lock);

		if (guard && !filled[block])
			return guard;
	}
	return mmrange::range_guard();
}

static void fill_blocks()
{
	range_hold hold;

	while (mmrange::range_guard guard = claim_block(hold))
		filled[hold.start]++;
}

int main()
{
	std::thread thread(fill_blocks);

	fill_blocks();
	thread.join();

	unsigned int once = 0;
	range_hold hold;
	mmrange::range_guard all(mutex, hold, 0, nr_blocks, RANGE_READ);

	for (unsigned int times : filled)
		once += times == 1;
	std::cout << once << " blocks filled once\n";
}
