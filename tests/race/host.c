/* SPDX-License-Identifier: MIT */
/*
 * host ordered|racing - prints the names of these scenes.
 * host NAME... - runs scenes; all: those that are ordered. Its last line is "done".
 */
#include "host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct range_lock lock;
long data;

static const struct scene *current;
static unsigned int nr_threads;

void fail(const char *file, int line, const char *what)
{
	printf("%s:%d: failed: %s\n", file, line, what);
	exit(1);
}

static void play(unsigned int turn)
{
	const struct access *access = &current->pair[turn];
	struct range_hold range;

	await_stage(turn);
	CHECK(range_lock(&lock, &range, access->start, access->end, access->mode) == 0);
	if (access->writes)
		data = turn;
	else
		CHECK(data == 0);
	range_unlock(&lock, &range);
	end_stage(turn);
}

static void *run_thread(void *arg)
{
	const unsigned int *turn = arg;

	if (current->thread[0])
		current->thread[*turn]();
	else
		play(*turn);
	await_last_stage(nr_threads);
	return NULL;
}

static bool has_thread(const struct scene *scene, unsigned int turn)
{
	return scene->thread[0] ? turn < SCENE_THREADS && scene->thread[turn] : turn < 2;
}

static void run_scene(const struct scene *scene)
{
	static const unsigned int turns[SCENE_THREADS] = { 0, 1, 2 };
	pthread_t threads[SCENE_THREADS];

	printf("%s\n", scene->name);
	fflush(stdout);
	current = scene;
	data = 0;
	reset_stage();
	if (scene->prepare)
		scene->prepare();
	else
		CHECK(range_lock_init(&lock, NULL) == 0);
	for (nr_threads = 0; has_thread(scene, nr_threads);)
		nr_threads++;
	for (unsigned int i = 0; i < nr_threads; i++)
		CHECK(pthread_create(&threads[i], NULL, run_thread, (void *)&turns[i]) == 0);
	for (unsigned int i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	CHECK(range_lock_destroy(&lock) == 0);
	memset(&lock, 0, sizeof lock);
}

static const struct scene *find_scene(const struct scene *scenes, const char *name)
{
	while (scenes->name && strcmp(scenes->name, name) != 0)
		scenes++;
	return scenes->name ? scenes : NULL;
}

static void run_named(const char *name)
{
	const struct scene *scene = find_scene(ordered_scenes, name);

	if (!scene)
		scene = find_scene(racing_scenes, name);
	CHECK(scene);
	run_scene(scene);
}

static int print_names(const struct scene *scenes)
{
	for (; scenes->name; scenes++)
		printf("%s\n", scenes->name);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "ordered") == 0)
		return print_names(ordered_scenes);
	if (argc == 2 && strcmp(argv[1], "racing") == 0)
		return print_names(racing_scenes);
	if (argc == 2 && strcmp(argv[1], "all") == 0)
		for (const struct scene *scene = ordered_scenes; scene->name; scene++)
			run_scene(scene);
	else
		for (int i = 1; i < argc; i++)
			run_named(argv[i]);
	printf("done\n");
	return 0;
}
