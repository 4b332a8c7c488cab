/* SPDX-License-Identifier: MIT */
#include "message.h"
#include "platform.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((format(printf, 2, 0))) static void add_text(struct mmrange__text *text,
							   const char *format, va_list args)
{
	size_t room = sizeof text->text - text->length;
	int length = vsnprintf(text->text + text->length, room, format, args);

	if (length > 0)
		text->length += (size_t)length < room ? (size_t)length : room - 1;
}

void mmrange__text_add(struct mmrange__text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_text(text, format, args);
	va_end(args);
}

void mmrange__text_write(const struct mmrange__text *text)
{
	int cancel_state = mmrange__cancel_disable(), saved = errno;
	size_t written = 0;

	while (written < text->length) {
		ssize_t n = write(STDERR_FILENO, text->text + written, text->length - written);

		if (n > 0)
			written += (size_t)n;
		else if (n == 0 || errno != EINTR)
			break;
	}
	errno = saved;
	mmrange__cancel_restore(cancel_state);
}

void mmrange__stop(const char *format, ...)
{
	struct mmrange__text text = { .length = 0 };
	va_list args;

	mmrange__cancel_disable();
	mmrange__text_add(&text, "libmmrange: ");
	va_start(args, format);
	add_text(&text, format, args);
	va_end(args);
	/* The newline has room, however long the message is. */
	if (text.length + 1 == sizeof text.text)
		text.length--;
	mmrange__text_add(&text, "\n");
	mmrange__text_write(&text);
	abort();
}
