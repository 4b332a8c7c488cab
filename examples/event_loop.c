/* SPDX-License-Identifier: MIT */
/*
 * A server's use: event loops lock ranges of a block store without ever waiting for one.
 *
 * Each loop is one thread, which serves many clients. It must not sleep in range_lock(), because
 * all its other clients would wait, too. Therefore:
 *
 *  1. A loop asks for the blocks of a request by range_lock_async(). 0: the blocks are locked, and
 *     the loop goes on at once. EINPROGRESS: the loop turns to other requests; the lock has queued
 *     this one in request->range, without a thread and without memory of its own.
 *  2. When the blocks become free, the thread that made way calls granted(). That thread can be any
 *     thread that releases a range: another loop, or main(). So granted() does no work for the
 *     request. It posts the request to the inbox of the loop that owns it, and wakes that loop by
 *     its eventfd, as any other event would.
 *  3. The loop gives the request to a worker thread, which reads or writes the blocks, and posts
 *     the request back.
 *  4. The loop releases the blocks. This may call granted() for requests of any loop.
 *
 * A client may hang up while its request waits. The loop then calls range_cancel(). The callback
 * still comes, once, with ECANCELED; only then is the request finished.
 *
 * Two rules prevent use after free. After EINPROGRESS the callback owns the request: it may have
 * come already when range_lock_async() returns. After post() the loop owns the request, and may
 * have finished it already when post() returns. Here the loop's thread begins each request, so no
 * request goes on before the loop has returned to its inbox.
 *
 * main() keeps the whole store locked until each client has a request waiting, so that the program
 * prints the same each time.
 */
#include <mmrange/range_lock.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LOOPS = 2, WORKERS = 3, CLIENTS = 16, REQUESTS = 200, HANG_UP = 8 };
enum { BLOCKS = 64, LONGEST = 8, WORDS = 128 };

/* What the lock protects. A writer adds 1 to each word of a block. */
static unsigned int store[BLOCKS][WORDS];
static struct range_lock lock = RANGE_LOCK_INITIALIZER;

/* Of a client: the one that the client waits for, or has waited for last. */
struct request {
	struct range_hold range; /* in place from range_lock_async() until range_unlock() */
	uint64_t first;          /* block */
	uint64_t end;
	enum range_mode mode;
	enum { WAITS, IN_IO } stage;
	int error; /* the callback's */
	unsigned int number;
	struct loop *loop;
	struct request *next; /* in a queue */
};

struct queue {
	pthread_mutex_t mutex;
	struct request *first;
	struct request *last;
};

struct loop {
	int epoll; /* here only of events; a server has its sockets in it, too */
	int events;
	struct queue inbox;
	struct request requests[CLIENTS];
	unsigned int clients; /* that have not hung up, and want more */
	unsigned int served;
	unsigned int canceled;
	unsigned int written; /* blocks */
};

static struct loop loops[LOOPS];
static struct queue io = { .mutex = PTHREAD_MUTEX_INITIALIZER };
static pthread_cond_t io_or_end = PTHREAD_COND_INITIALIZER;
static bool end_of_io;
static pthread_barrier_t all_wait;

/* With the queue's mutex locked. Returns whether the queue was empty. */
static bool append(struct queue *queue, struct request *request)
{
	bool empty = !queue->first;

	request->next = NULL;
	*(empty ? &queue->first : &queue->last->next) = request;
	queue->last = request;
	return empty;
}

/* Gives a request to its loop. Any thread may call it. */
static void post(struct request *request)
{
	struct loop *loop = request->loop;
	const uint64_t one = 1;
	bool empty;

	pthread_mutex_lock(&loop->inbox.mutex);
	empty = append(&loop->inbox, request);
	pthread_mutex_unlock(&loop->inbox.mutex);
	if (empty && write(loop->events, &one, sizeof(one)) != sizeof(one))
		abort();
}

/* The lock calls it, in the thread that made way, with 0 or ECANCELED. */
static void granted(int error, void *arg)
{
	struct request *request = arg;

	request->error = error;
	post(request);
}

static void start_io(struct request *request)
{
	request->stage = IN_IO;
	pthread_mutex_lock(&io.mutex);
	append(&io, request);
	pthread_cond_signal(&io_or_end);
	pthread_mutex_unlock(&io.mutex);
}

/* The next request of a client: any blocks, and every second time for writing. */
static void begin(struct request *request)
{
	unsigned int mix = request->number * 2654435761U + (unsigned int)(request->first * 40503);
	int error;

	request->first = mix / 64 % (BLOCKS - LONGEST);
	request->end = request->first + 1 + mix / 8192 % LONGEST;
	request->mode = request->number % 2 ? RANGE_READ : RANGE_WRITE;
	request->number++;
	request->stage = WAITS;
	error = range_lock_async(&lock, &request->range, request->first, request->end,
				 request->mode, granted, request);
	if (error == 0)
		start_io(request);
	else if (error != EINPROGRESS)
		abort();
}

/*
 * The client has gone. 0: the callback comes with ECANCELED. ESRCH: the blocks have just been
 * granted, and the callback comes with 0. In either case the loop goes on when it has come.
 */
static void hang_up(struct request *request)
{
	if (range_cancel(&lock, &request->range) == ESRCH)
		printf("a client hung up too late\n");
}

/* Goes on with a request from the inbox, in the thread of its loop. */
static void advance(struct request *request)
{
	struct loop *loop = request->loop;

	if (request->stage == WAITS && request->error == 0) {
		start_io(request);
		return;
	}
	if (request->stage == WAITS) {
		loop->canceled++;
		loop->clients--;
		return;
	}
	range_unlock(&lock, &request->range);
	loop->served++;
	if (request->mode == RANGE_WRITE)
		loop->written += (unsigned int)(request->end - request->first);
	if (request->number < REQUESTS)
		begin(request);
	else
		loop->clients--;
}

/* Waits for events, and returns the requests in the inbox. */
static struct request *next_requests(struct loop *loop)
{
	struct epoll_event event;
	struct request *requests;
	uint64_t events;

	if (epoll_wait(loop->epoll, &event, 1, -1) != 1)
		return NULL; /* interrupted, as by a debugger */
	/* Before the look into the inbox: a request that comes later wakes the loop again. */
	if (read(loop->events, &events, sizeof(events)) != sizeof(events))
		abort();
	pthread_mutex_lock(&loop->inbox.mutex);
	requests = loop->inbox.first;
	loop->inbox.first = NULL;
	pthread_mutex_unlock(&loop->inbox.mutex);
	return requests;
}

static void *run_loop(void *arg)
{
	struct loop *loop = arg;

	for (unsigned int i = 0; i < CLIENTS; i++)
		begin(&loop->requests[i]);
	for (unsigned int i = 0; i < CLIENTS; i += HANG_UP)
		hang_up(&loop->requests[i]);
	pthread_barrier_wait(&all_wait);
	while (loop->clients) {
		struct request *request = next_requests(loop);

		while (request) {
			struct request *next = request->next; /* before request is queued again */

			advance(request);
			request = next;
		}
	}
	return NULL;
}

static struct request *next_io(void)
{
	struct request *request;

	pthread_mutex_lock(&io.mutex);
	while (!io.first && !end_of_io)
		pthread_cond_wait(&io_or_end, &io.mutex);
	request = io.first;
	if (request)
		io.first = request->next;
	pthread_mutex_unlock(&io.mutex);
	return request;
}

/* Reads or writes blocks that are locked. Only disks and files make a worker wait, never a range.
 */
static void *work(void *arg)
{
	struct request *request;

	(void)arg;
	while ((request = next_io()) != NULL) {
		for (uint64_t block = request->first; block < request->end; block++) {
			for (unsigned int i = 0; i < WORDS; i++) {
				if (request->mode == RANGE_WRITE)
					store[block][i]++;
				if (store[block][i] != store[block][0])
					abort();
			}
		}
		post(request);
	}
	return NULL;
}

static void open_loop(struct loop *loop)
{
	struct epoll_event event = { .events = EPOLLIN };

	loop->epoll = epoll_create1(0);
	loop->events = eventfd(0, 0);
	if (loop->epoll < 0 || loop->events < 0 ||
	    epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->events, &event))
		abort();
	pthread_mutex_init(&loop->inbox.mutex, NULL);
	loop->clients = CLIENTS;
	for (unsigned int i = 0; i < CLIENTS; i++) {
		loop->requests[i].loop = loop;
		loop->requests[i].first = (uint64_t)i + CLIENTS * (uint64_t)(loop - loops);
	}
}

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run, arg))
		abort();
}

static void run_all(void)
{
	pthread_t loop_threads[LOOPS], workers[WORKERS];
	struct range_hold whole;

	/* A thread that may sleep uses the same lock as the loops do. */
	if (range_lock(&lock, &whole, 0, BLOCKS, RANGE_WRITE))
		abort();
	for (unsigned int i = 0; i < LOOPS; i++)
		start(&loop_threads[i], run_loop, &loops[i]);
	for (unsigned int i = 0; i < WORKERS; i++)
		start(&workers[i], work, NULL);
	pthread_barrier_wait(&all_wait);
	range_unlock(&lock, &whole); /* this thread calls granted() for what waited */

	for (unsigned int i = 0; i < LOOPS; i++)
		pthread_join(loop_threads[i], NULL);
	pthread_mutex_lock(&io.mutex);
	end_of_io = true;
	pthread_cond_broadcast(&io_or_end);
	pthread_mutex_unlock(&io.mutex);
	for (unsigned int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
}

int main(void)
{
	unsigned int served = 0, canceled = 0, written = 0, found = 0;

	pthread_barrier_init(&all_wait, NULL, LOOPS + 1);
	for (unsigned int i = 0; i < LOOPS; i++)
		open_loop(&loops[i]);
	run_all();
	for (unsigned int i = 0; i < LOOPS; i++) {
		served += loops[i].served;
		canceled += loops[i].canceled;
		written += loops[i].written;
		/* Only now: a thread may be in post() a little longer than the request lives. */
		close(loops[i].events);
		close(loops[i].epoll);
	}
	for (unsigned int i = 0; i < BLOCKS; i++)
		found += store[i][0];
	printf("%u requests served, %u canceled\n", served, canceled);
	printf("the store has %s\n", found == written ? "all that was written" : "LOST WRITES");
	return range_lock_destroy(&lock);
}
