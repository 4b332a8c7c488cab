/* SPDX-License-Identifier: MIT */
/*
 * Version of the headers, and what every public header shares.
 */
#ifndef MMRANGE_VERSION_H
#define MMRANGE_VERSION_H

#define MMRANGE_VERSION_MAJOR  0
#define MMRANGE_VERSION_MINOR  2
#define MMRANGE_VERSION_PATCH  0
#define MMRANGE_VERSION_STRING "0.2.0"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * MMRANGE_CHECK_RESULT marks the functions whose failure a caller must not ignore: it would go on
 * to use, and to unlock, what it does not hold.
 */
#if defined(__GNUC__) || defined(__clang__)
#define MMRANGE_API          __attribute__((visibility("default")))
#define MMRANGE_CHECK_RESULT __attribute__((warn_unused_result))
#else
#define MMRANGE_API
#define MMRANGE_CHECK_RESULT
#endif

/**
 * The version of the library that is linked, as "MAJOR.MINOR.PATCH".
 *
 * @return a string with static lifetime; compare with MMRANGE_VERSION_STRING to see whether
 *         headers and library belong together
 *
 * Since: 0.1
 */
MMRANGE_API const char *mmrange_version(void);

#ifdef __cplusplus
}
#endif

#endif
