/* SPDX-License-Identifier: MIT */
/*
 * message - messages on stderr: the library makes the text in memory, and writes it by one
 * write(2).
 *
 * It does not use stdio. A thread that was canceled in stdio would leave stderr locked, and then no
 * thread could say why the process ends.
 */
#ifndef PLATFORM_MESSAGE_H
#define PLATFORM_MESSAGE_H

#include <stddef.h>

struct mmrange__text {
	size_t length;
	char text[4000]; /* less than PIPE_BUF, so that a pipe does not mix it with other messages
			  */
};

/** Appends as printf() does, and cuts off what does not fit. */
void mmrange__text_add(struct mmrange__text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * Writes the text to stderr. If that is not possible, the text is lost.
 *
 * Safety: leaves errno alone; not a cancellation point; write(2) may raise SIGPIPE.
 */
void mmrange__text_write(const struct mmrange__text *text);

/** Writes "libmmrange: ", the message and a newline to stderr, and aborts the process. */
_Noreturn void mmrange__stop(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
