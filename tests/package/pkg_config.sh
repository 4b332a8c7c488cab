#!/bin/sh
# SPDX-License-Identifier: MIT pkg_config.sh PREFIX LIBDIR VERSION SOURCE CC [FLAG...]: builds and
# runs SOURCE against what is installed in PREFIX, found with pkg-config; once with the shared and
# once with the static library.
set -eu

prefix=$1 libdir=$1/$2 version=$3 source=$4
shift 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH

test "$(pkg-config --modversion mmrange)" = "$version"
# pkg-config writes the way down into the package and up again; it must end in the prefix.
test "$(cd "$(pkg-config --variable=prefix mmrange)" && pwd -P)" = "$(cd "$prefix" && pwd -P)"

# The flags are lists of words.
# shellcheck disable=SC2046
"$@" -o "$work/shared" "$source" $(pkg-config --cflags --libs mmrange)
LD_LIBRARY_PATH=$libdir "$work/shared" "$version"

# shellcheck disable=SC2046
"$@" -o "$work/static" "$source" $(pkg-config --cflags --libs --static mmrange |
	sed "s,-lmmrange,$libdir/libmmrange.a,")
"$work/static" "$version"
