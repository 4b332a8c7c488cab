/* SPDX-License-Identifier: MIT */
/*
 * probe - static probes (USDT) for bpftrace, SystemTap and perf, where CMake finds <sys/sdt.h>, and
 * nothing elsewhere. A probe is one instruction that does nothing, and a note that says where its
 * arguments are. mmrange_probes(7) describes the probes, whose provider is libmmrange.
 *
 * An argument must have no effect, and needs a type of at most 64 bits. No probe is on the fast
 * path of the range lock.
 */
#ifndef PLATFORM_PROBE_H
#define PLATFORM_PROBE_H

#ifdef MMRANGE_PROBES
#include <sys/sdt.h>

#ifdef __clang__
/* Its macros have extensions, of which clang warns where they are used. */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

#define MMRANGE__PROBE2(name, a, b)             STAP_PROBE2(libmmrange, name, a, b)
#define MMRANGE__PROBE3(name, a, b, c)          STAP_PROBE3(libmmrange, name, a, b, c)
#define MMRANGE__PROBE4(name, a, b, c, d)       STAP_PROBE4(libmmrange, name, a, b, c, d)
#define MMRANGE__PROBE5(name, a, b, c, d, e)    STAP_PROBE5(libmmrange, name, a, b, c, d, e)
#define MMRANGE__PROBE6(name, a, b, c, d, e, f) STAP_PROBE6(libmmrange, name, a, b, c, d, e, f)
#else
#define MMRANGE__PROBE2(name, a, b)          ((void)(a), (void)(b))
#define MMRANGE__PROBE3(name, a, b, c)       ((void)(a), (void)(b), (void)(c))
#define MMRANGE__PROBE4(name, a, b, c, d)    ((void)(a), (void)(b), (void)(c), (void)(d))
#define MMRANGE__PROBE5(name, a, b, c, d, e) ((void)(a), (void)(b), (void)(c), (void)(d), (void)(e))
#define MMRANGE__PROBE6(name, a, b, c, d, e, f)                                                    \
	((void)(a), (void)(b), (void)(c), (void)(d), (void)(e), (void)(f))
#endif

#endif
