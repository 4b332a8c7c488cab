# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# qemu.sh - for scripts that run programs under the plugin: whether this machine has what the plugin needs.
#
# why_not PLUGIN TOY: nothing, or the reason why nothing can be counted here.
why_not() {
	if [ "$(uname -sm)" != "Linux x86_64" ]; then
		echo "it is for Linux on x86_64, not $(uname -sm)"
	elif ! command -v qemu-x86_64 > /dev/null; then
		echo "qemu-x86_64 is missing (Debian: qemu-user)"
	elif [ ! -e "$1" ] || [ ! -e "$2" ]; then
		echo "not built: $1, $2"
	elif ! qemu-x86_64 "$2" padded 1 1 > /dev/null 2>&1; then
		echo "$(qemu-x86_64 --version | head -n 1) does not run programs that are built here"
	else
		# It says why: it was built without plugins, or wants another version of their interface.
		# Everything else, such as a plugin that crashes, is no reason but a failure.
		qemu-x86_64 -plugin "$1" "$2" padded 1 1 2>&1 > /dev/null |
			sed -n '1{/requires API version/p; /unknown option/p}'
	fi
}
