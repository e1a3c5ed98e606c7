// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * ipc make ID              makes System V objects, a POSIX queue, shared memory and a key of that number; prints the key's serial
 * ipc unmake ID            removes them
 * ipc take ID SERIAL       says which of them it can reach
 */
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <mqueue.h>
#include <unistd.h>

static long key(int what, long a, long b, long c, long d)
{
        return syscall(SYS_keyctl, what, a, b, c, d);
}

static void got(const char *what)
{
        printf("%s\n", what);
}

static int read_key(long serial)
{
        char data[32] = "";
        return key(KEYCTL_READ, serial, (long)data, sizeof data, 0) > 0 && strncmp(data, "SECRET", 6) == 0;
}

/* Keyrings of outside, by their numbers in /proc/keys: linked into one's own, what they hold is one's own too. */
static void keyrings(const char *name)
{
        char line[512];
        FILE *file = fopen("/proc/keys", "r");
        while (file && fgets(line, sizeof line, file)) {
                unsigned long serial = strtoul(line, NULL, 16);
                if (!strstr(line, "keyring"))
                        continue;
                key(KEYCTL_LINK, (int)serial, KEY_SPEC_SESSION_KEYRING, 0, 0);
                long found = key(KEYCTL_SEARCH, (int)serial, (long)"user", (long)name, 0);
                if (found < 0)
                        found = key(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, (long)"user", (long)name, 0);
                if (found > 0 && read_key(found)) {
                        got("a key of the user, through a keyring listed in /proc/keys");
                        break;
                }
        }
        if (file)
                fclose(file);
}

int main(int argc, char **argv)
{
        if (argc < 3)
                return 2;
        int id = atoi(argv[2]);
        char name[64], queue[64];
        snprintf(name, sizeof name, "paddock-test-%d", id);
        snprintf(queue, sizeof queue, "/paddock-test-%d", id);
        key_t number = 0x50000000 + id;
        if (strcmp(argv[1], "make") == 0) {
                shmget(number, 4096, IPC_CREAT | 0666);
                msgget(number, IPC_CREAT | 0666);
                semget(number, 1, IPC_CREAT | 0666);
                mq_open(queue, O_CREAT | O_RDWR, 0666, NULL);
                close(shm_open(queue, O_CREAT | O_RDWR, 0666));
                long serial = syscall(SYS_add_key, "user", name, "SECRET", 6, KEY_SPEC_USER_KEYRING);
                key(KEYCTL_SET_TIMEOUT, serial, 60, 0, 0);
                printf("%ld\n", serial);
                return 0;
        }
        if (strcmp(argv[1], "unmake") == 0) {
                shmctl(shmget(number, 0, 0), IPC_RMID, NULL);
                msgctl(msgget(number, 0), IPC_RMID, NULL);
                semctl(semget(number, 0, 0), 0, IPC_RMID);
                mq_unlink(queue);
                shm_unlink(queue);
                long serial = key(KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, (long)"user", (long)name, 0);
                if (serial > 0)
                        key(KEYCTL_UNLINK, serial, KEY_SPEC_USER_KEYRING, 0, 0);
                return 0;
        }
        long serial = argc > 3 ? atol(argv[3]) : 0;
        if (shmget(number, 0, 0) >= 0)
                got("System V shared memory");
        if (msgget(number, 0) >= 0)
                got("a System V queue");
        if (semget(number, 0, 0) >= 0)
                got("System V semaphores");
        if (mq_open(queue, O_RDWR) >= 0)
                got("a POSIX queue");
        if (shm_open(queue, O_RDWR, 0) >= 0)
                got("POSIX shared memory");
        if (serial > 0 && read_key(serial))
                got("a key of the user, by its number");
        if (key(KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, (long)"user", (long)name, 0) > 0)
                got("a key of the user, in the user's keyring");
        if (key(KEYCTL_SEARCH, KEY_SPEC_USER_SESSION_KEYRING, (long)"user", (long)name, 0) > 0)
                got("a key of the user, in the user's session keyring");
        if (syscall(SYS_request_key, "user", name, NULL, 0) > 0)
                got("a key of the user, by request_key");
        keyrings(name);
        if (serial > 0 && (key(KEYCTL_REVOKE, serial, 0, 0, 0) == 0 || key(KEYCTL_INVALIDATE, serial, 0, 0, 0) == 0))
                got("revoked a key of the user");
        return 0;
}
