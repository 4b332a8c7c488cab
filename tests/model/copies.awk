# SPDX-License-Identifier: MIT
#
# awk -f copies.awk FILE.ll FILE.ll: turns copies of structs into copies of their members, which
# GenMC v0.10.3 ends with an assertion over where one begins another one. What arrays have is told by
# where they are: words at the beginning, as in struct seam, two of 32 bits where no word can be, as in
# struct mm__area_budget, else 16 bits, as in struct mm__thread_set. The constant that a struct sum begins
# with has words only. A struct mm__rcu_batch, which has words only, too, is cleared in the same way where it is what
# a function returns.

# The first time: where the members are, and how long.
NR == FNR {
	if ($1 ~ /^!/ && $3 == "!{i64")
		members[$1] = $0
	next
}

function copy_member(to, from, offset, size, at) {
	at = "%copy" ++copies
	printf "  %s.f = getelementptr i8, i8* %s, i64 %d%s\n", at, from, offset, debug
	printf "  %s.fp = bitcast i8* %s.f to i%d*%s\n", at, at, 8 * size, debug
	printf "  %s.v = load i%d, i%d* %s.fp, align %d%s\n", at, 8 * size, 8 * size, at, size, debug
	printf "  %s.t = getelementptr i8, i8* %s, i64 %d%s\n", at, to, offset, debug
	printf "  %s.tp = bitcast i8* %s.t to i%d*%s\n", at, at, 8 * size, debug
	printf "  store i%d %s.v, i%d* %s.tp, align %d%s\n", 8 * size, at, 8 * size, at, size, debug
}

function clear_word(to, offset, at) {
	at = "%cleared" ++copies
	printf "  %s.t = getelementptr i8, i8* %s, i64 %d%s\n", at, to, offset, debug
	printf "  %s.tp = bitcast i8* %s.t to i64*%s\n", at, at, debug
	printf "  store i64 0, i64* %s.tp, align 8%s\n", at, debug
}

/call void @llvm.memcpy/ && (/!tbaa.struct/ || /%struct.sum\* @__const/) {
	match($0, /i8\* align [0-9]+ [^,]*,/)
	to = substr($0, RSTART, RLENGTH - 1)
	rest = substr($0, RSTART + RLENGTH)
	match(rest, /i8\* align [0-9]+ [^,]*,/)
	from = substr(rest, RSTART, RLENGTH - 1)
	sub(/i8\* align [0-9]+ /, "", to)
	sub(/i8\* align [0-9]+ /, "", from)
	match($0, /, !dbg ![0-9]+/)
	debug = substr($0, RSTART, RLENGTH)
	if ($0 ~ /!tbaa.struct/) {
		layout = members[$NF]
		sub(/^.*!{/, "", layout)
	} else {
		match(rest, /i64 [0-9]+, i1/)
		layout = "i64 0, " substr(rest, RSTART, RLENGTH - 4) ", words"
	}
	n = split(layout, field, ", ")
	for (i = 1; i < n; i += 3) {
		offset = substr(field[i], 5) + 0
		size = substr(field[i + 1], 5) + 0
		step = field[i + 2] == "words" ? 8 : size > 8 ? (offset ? 2 : 8) : offset % size ? 4 : size
		for (end = offset + size; offset < end; offset += step)
			copy_member(to, from, offset, step)
	}
	next
}

/^define / {
	delete batch
}

/= bitcast %struct.mm__rcu_batch\* %[0-9]+ to i8\*/ {
	batch[$1] = 1
}

/call void @llvm.memset/ {
	match($0, /%[0-9]+/)
	to = substr($0, RSTART, RLENGTH)
	match($0, /, !dbg ![0-9]+/)
	debug = substr($0, RSTART, RLENGTH)
	if (to in batch) {
		for (offset = 0; offset < 32; offset += 8)
			clear_word(to, offset)
		next
	}
}

{ print }
