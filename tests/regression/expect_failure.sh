#!/bin/sh
# SPDX-License-Identifier: MIT
# expect_failure.sh MESSAGE COMMAND [ARGUMENT...]
#
# Succeeds if the command is ended by abort() after it has said the message: a test has failed in
# the place where it has to. A crash, a hang or another message will not do.
message=$1
shift
said=$("$@" 2>&1)
status=$?
# 128 + SIGABRT, of a shell or of the watchdog.
if [ $status -eq 134 ] && printf '%s\n' "$said" | grep -qF -- "$message"; then
	exit 0
fi
printf '%s\n' "$said"
echo "expected \"$message\" and status 134, got status $status"
exit 1
