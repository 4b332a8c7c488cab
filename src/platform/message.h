/* SPDX-License-Identifier: MIT */
/*
 * message - what the library says on stderr: text that is made in memory, and written by one
 * write(2).
 *
 * stdio is not used. A thread that is canceled there would leave stderr locked, and a thread that
 * another one killed the lock of stderr for could not say why the process ends.
 */
#ifndef PLATFORM_MESSAGE_H
#define PLATFORM_MESSAGE_H

#include <stddef.h>

struct mmrange__text {
	size_t length;
	char text[4000]; /* less than PIPE_BUF: a pipe does not mix it with other messages */
};

/** Appends as printf() does; cuts off what does not fit. */
void mmrange__text_add(struct mmrange__text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * Writes the text to stderr. If that is not possible, the text is lost.
 *
 * Safety: leaves errno alone; not a cancellation point, but as write(2) may raise SIGPIPE.
 */
void mmrange__text_write(const struct mmrange__text *text);

/** Writes "libmmrange: ", the message and a newline to stderr, and aborts the process. */
_Noreturn void mmrange__stop(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
