// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What seccomp filters have to know of this processor: its native ABI, and the second one, with the numbers that
 * calls have there (the kernel's arch/.../syscall tables). x32 shares the first ABI's number and marks its calls with
 * a bit.
 */
#pragma once

#include <linux/audit.h>

#if defined __x86_64__
#define ABI_NATIVE AUDIT_ARCH_X86_64
#define ABI_SECOND AUDIT_ARCH_I386
#define ABI_SECOND_KEYCTL 288
#define ABI_SECOND_ADD_KEY 286
#define ABI_SECOND_REQUEST_KEY 287
#define ABI_SECOND_SOCKETCALL 102
#define ABI_SECOND_CONNECT 362
#define ABI_SECOND_LISTEN 363
#define ABI_SECOND_SENDTO 369
#define ABI_SECOND_SENDMSG 370
#define ABI_SECOND_SENDMMSG 345
#define ABI_CALL_MASK 0xBFFFFFFFu
#define ABI_FOREIGN 0x40000000u /* calls from here on are x32's */
#elif defined __aarch64__
#define ABI_NATIVE AUDIT_ARCH_AARCH64
#define ABI_SECOND AUDIT_ARCH_ARM
#define ABI_SECOND_KEYCTL 311
#define ABI_SECOND_ADD_KEY 309
#define ABI_SECOND_REQUEST_KEY 310
#define ABI_SECOND_SOCKETCALL 102
#define ABI_SECOND_CONNECT 283
#define ABI_SECOND_LISTEN 284
#define ABI_SECOND_SENDTO 290
#define ABI_SECOND_SENDMSG 296
#define ABI_SECOND_SENDMMSG 374
#define ABI_CALL_MASK 0xFFFFFFFFu
#define ABI_FOREIGN 0xFFFFFFFFu
#else
#error "the calls of this processor's ABIs are to be listed here"
#endif
