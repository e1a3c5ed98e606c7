// SPDX-License-Identifier: GPL-3.0-or-later
/* A hostile program loader: whatever program it is to load, it keeps that program's file open and becomes a shell that
 * writes to it. Needs no library. */
#include <fcntl.h>
#include <sys/syscall.h>

static long call(long number, long a, long b, long c, long d)
{
        long result;
#if defined(__x86_64__)
        register long r10 __asm__("r10") = d;
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                         : "rcx", "r11", "memory");
#elif defined(__aarch64__)
        register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
                      x3 __asm__("x3") = d;
        __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
        result = x0;
#endif
        return result;
}

void _start(void);
void _start(void)
{
        static const char *const argv[] = {"overwrite-held", 0};
        static const char *const environment[] = {0};
        /* The descriptor stays open over exec; /bin/held writes to all that it finds. */
        call(SYS_openat, AT_FDCWD, (long)"/proc/self/exe", O_RDONLY, 0);
        call(SYS_execve, (long)"/bin/held", (long)argv, (long)environment, 0);
        call(SYS_exit_group, 1, 0, 0, 0);
}
