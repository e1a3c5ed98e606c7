// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Does what programs do to files, a line for each result: run natively and in a grant, both must print the same.
 *
 *      semantics DIR      DIR is empty, and is left empty
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void line(const char *what, long long result)
{
        printf("%-50.50s %s\n", what, result < 0 ? strerror(errno) : "ok");
}
#define DO(call) line(#call, (long long)(call))

static void value(const char *what, long long n)
{
        printf("%-50.50s %lld\n", what, n);
}
#define SHOW(expression) value(#expression, (long long)(expression))

static struct stat of(const char *name)
{
        struct stat st = {0};
        if (lstat(name, &st) < 0)
                st.st_mode = (mode_t)-errno;
        return st;
}

static int make(const char *name, const char *text)
{
        int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
                perror(name);
        return fd;
}

static void content(const char *name)
{
        char text[100] = "";
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        printf("content of %-39s %s\n", name, n < 0 ? strerror(errno) : text);
        if (fd >= 0)
                close(fd);
}

static void names(void)
{
        close(make("a", "one"));
        DO(mkdir("d", 0750));
        SHOW(of("d").st_mode);
        DO(mkdir("d", 0750));
        DO(rename("a", "d/a"));
        content("d/a");
        DO(rename("d/a", "a"));
        DO(symlink("a", "l"));
        SHOW(of("l").st_size);
        content("l");
        DO(link("a", "h"));
        SHOW(of("a").st_nlink);
        SHOW(of("a").st_ino == of("h").st_ino);
        DO(link("l", "hl"));
        SHOW(S_ISLNK(of("hl").st_mode));
        DO(linkat(AT_FDCWD, "l", AT_FDCWD, "hf", AT_SYMLINK_FOLLOW));
        SHOW(of("hf").st_nlink);
        close(make("b", "two"));
        DO(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
        DO(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
        content("a");
        content("b");
        DO(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE));
        SHOW(S_ISDIR(of("a").st_mode));
        content("d");
        DO(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE));
        DO(renameat2(AT_FDCWD, "a", AT_FDCWD, "none", RENAME_EXCHANGE));
        DO(rename("b", "h"));
        SHOW(of("b").st_nlink);
        DO(rename("d", "d/below"));
        DO(rename("a", "d"));
        DO(rename("d", "a"));
        DO(mkdir("d/e", 0755));
        DO(rmdir("d"));
        DO(rename("d", "f"));
        DO(rmdir("f/e"));
        DO(rmdir("f"));
        DO(unlink("f"));
        DO(open("none", O_RDONLY));
        DO(open("a/b", O_RDONLY));
        DO(open("l", O_RDONLY | O_NOFOLLOW));
        DO(open("a", O_RDONLY | O_DIRECTORY));
        DO(open("a", O_CREAT | O_EXCL | O_RDWR, 0644));
        DO(unlink("a"));
        DO(unlink("b"));
        DO(unlink("h"));
        DO(unlink("hf"));
        DO(unlink("l"));
        DO(unlink("hl"));
        char longest[300];
        memset(longest, 'n', sizeof longest);
        longest[255] = '\0';
        close(make(longest, "x"));
        SHOW(of(longest).st_size);
        unlink(longest);
        longest[255] = 'n';
        longest[256] = '\0';
        DO(open(longest, O_CREAT | O_RDWR, 0644));
}

static void content_changes(void)
{
        char text[64] = "";
        int fd = make("a", "0123456789");
        DO(ftruncate(fd, 5));
        content("a");
        DO(truncate("a", 8));
        SHOW(of("a").st_size);
        SHOW(pread(fd, text, sizeof text, 0));
        SHOW(memcmp(text, "01234\0\0", 8));
        int append = open("a", O_WRONLY | O_APPEND | O_CLOEXEC);
        SHOW(pwrite(fd, "xy", 2, 8));
        SHOW(write(append, "zz", 2));
        SHOW(lseek(append, 0, SEEK_CUR));
        content("a");
        DO(fcntl(fd, F_SETFL, O_APPEND));
        SHOW(write(fd, "!", 1));
        content("a");
        DO(fcntl(append, F_SETFL, 0));
        SHOW(pwrite(append, "Q", 1, 0));
        content("a");
        DO(fsync(fd));
        DO(fdatasync(append));
        close(append);
        DO(ftruncate(fd, -1));
        DO(truncate("none", 1));
        DO(open("a", O_RDONLY | O_TRUNC));
        SHOW(of("a").st_size);
        DO(fallocate(fd, 0, 0, 10000));
        SHOW(of("a").st_size);
        DO(fallocate(fd, FALLOC_FL_KEEP_SIZE, 10000, 10000));
        SHOW(of("a").st_size);
        DO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
        DO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
        close(fd);
        fd = make("hole", "head");
        DO(ftruncate(fd, 1 << 20));
        SHOW(pwrite(fd, "tail", 4, 1 << 20));
        SHOW(lseek(fd, 0, SEEK_DATA));
        SHOW(lseek(fd, 0, SEEK_HOLE) > 0 && lseek(fd, 0, SEEK_HOLE) <= 65536);
        SHOW(lseek(fd, 100000, SEEK_DATA));
        SHOW(lseek(fd, (1 << 20) + 1, SEEK_HOLE));
        DO(lseek(fd, (1 << 20) + 4, SEEK_DATA));
        SHOW(of("hole").st_blocks < 1000);
        int other = make("copy", "");
        off_t from = 0, to = 10;
        SHOW(copy_file_range(fd, &from, other, &to, 4, 0));
        SHOW(of("copy").st_size);
        SHOW(pread(other, text, 4, 10));
        SHOW(memcmp(text, "head", 4));
        close(fd);
        fd = open("copy", O_RDONLY | O_CLOEXEC);
        DO(write(fd, "x", 1));
        DO(ftruncate(fd, 0));
        close(fd);
        close(other);
        unlink("a");
        unlink("hole");
        unlink("copy");
}

static void without_name(void)
{
        char text[32] = "", name[64];
        int fd = make("gone", "still here");
        DO(unlink("gone"));
        SHOW(pread(fd, text, 10, 0));
        struct stat st;
        DO(fstat(fd, &st));
        SHOW(st.st_nlink);
        DO(ftruncate(fd, 3));
        DO(fchmod(fd, 0600));
        SHOW(fstat(fd, &st) == 0 ? st.st_size : -1);
        SHOW(pwrite(fd, "new", 3, 0));
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        int again = open(name, O_RDONLY | O_CLOEXEC);
        SHOW(again >= 0 && pread(again, text, 3, 0) == 3 && memcmp(text, "new", 3) == 0);
        close(again);
        close(fd);
        fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
        line("O_TMPFILE", fd);
        if (fd >= 0) {
                SHOW(write(fd, "named later", 11));
                snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
                DO(linkat(AT_FDCWD, name, AT_FDCWD, "later", AT_SYMLINK_FOLLOW));
                content("later");
                SHOW(of("later").st_mode);
                close(fd);
                unlink("later");
        }
        fd = open(".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        DO(linkat(AT_FDCWD, name, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
        close(fd);
        mkdir("d", 0755);
        fd = open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DO(rmdir("d"));
        DO(openat(fd, "x", O_CREAT | O_RDWR, 0644));
        close(fd);
}

static void attributes(void)
{
        struct timespec times[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
        int fd = make("a", "text");
        DO(chmod("a", 0751));
        SHOW(of("a").st_mode);
        DO(fchmod(fd, 0400));
        SHOW(of("a").st_mode);
        DO(chmod("a", 0644));
        DO(utimensat(AT_FDCWD, "a", times, 0));
        SHOW(of("a").st_atim.tv_sec);
        SHOW(of("a").st_mtim.tv_nsec);
        times[0].tv_nsec = UTIME_OMIT;
        times[1].tv_nsec = UTIME_NOW;
        DO(futimens(fd, times));
        SHOW(of("a").st_atim.tv_sec);
        SHOW(of("a").st_mtim.tv_sec > 1700000000);
        symlink("a", "l");
        times[0] = times[1] = (struct timespec){5, 6};
        DO(utimensat(AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW));
        SHOW(of("l").st_mtim.tv_sec);
        SHOW(of("a").st_mtim.tv_sec > 1700000000);
        DO(chown("a", geteuid(), getegid()));
        DO(lchown("l", geteuid(), getegid()));
        DO(setxattr("a", "user.one", "1", 1, XATTR_CREATE));
        DO(setxattr("a", "user.one", "1", 1, XATTR_CREATE));
        DO(setxattr("a", "user.two", "two", 3, 0));
        char text[1000] = "";
        SHOW(getxattr("a", "user.two", text, sizeof text));
        SHOW(getxattr("a", "user.two", NULL, 0));
        DO(getxattr("a", "user.two", text, 1));
        DO(getxattr("a", "user.none", text, sizeof text));
        SHOW(listxattr("a", NULL, 0));
        SHOW(fgetxattr(fd, "user.one", text, sizeof text));
        DO(removexattr("a", "user.one"));
        DO(removexattr("a", "user.one"));
        SHOW(listxattr("a", text, sizeof text));
        DO(setxattr("a", "user.empty", "", 0, 0));
        SHOW(getxattr("a", "user.empty", text, sizeof text));
        struct statvfs fs;
        DO(statvfs("a", &fs));
        SHOW(fs.f_namemax);
        SHOW(fs.f_blocks > 0);
        SHOW(access("a", R_OK | W_OK));
        DO(access("a", X_OK));
        mkdir("d", 0777);
        DO(chmod("d", 01777));
        SHOW(of("d").st_mode);
        mode_t before = umask(027);
        close(open("u", O_CREAT | O_RDWR | O_CLOEXEC, 0666));
        SHOW(of("u").st_mode);
        umask(before);
        close(fd);
        rmdir("d");
        unlink("u");
        unlink("a");
        unlink("l");
}

static void listing(void)
{
        char name[32];
        long where[300];
        char names[300][256];
        int count = 0, same = 0, all = 0;
        mkdir("many", 0755);
        for (int i = 0; i < 250; i++) {
                snprintf(name, sizeof name, "many/entry-%d", i);
                close(make(name, ""));
        }
        DIR *d = opendir("many");
        for (struct dirent *e; (where[count] = telldir(d), e = readdir(d)) && count < 299; count++)
                snprintf(names[count], sizeof names[count], "%s", e->d_name);
        SHOW(count);
        for (int i = 0; i < count; i += 7) { /* positions can be gone back to */
                seekdir(d, where[i]);
                struct dirent *e = readdir(d);
                same += e && strcmp(e->d_name, names[i]) == 0;
                all++;
        }
        SHOW(same == all);
        rewinddir(d);
        int removed = 0;
        for (struct dirent *e; (e = readdir(d));) /* while it is read */
                removed += e->d_name[0] != '.' && unlinkat(dirfd(d), e->d_name, 0) == 0;
        SHOW(removed);
        closedir(d);
        DO(rmdir("many"));
}

static void in_child(const char *what, int fd, int kind)
{
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
                struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10}, get = range;
                int own = open("a", O_RDWR | O_CLOEXEC);
                if (kind == 0)
                        line(what, flock(own, LOCK_EX | LOCK_NB));
                else
                        line(what, fcntl(own, F_SETLK, &range));
                if (kind == 1 && fcntl(own, F_GETLK, &get) == 0)
                        printf("seen: type %d start %lld length %lld\n", get.l_type, (long long)get.l_start,
                               (long long)get.l_len);
                fflush(stdout);
                _exit(0);
        }
        waitpid(child, NULL, 0);
        (void)fd;
}

static void locks(void)
{
        struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 7},
                     rest = {.l_type = F_UNLCK};
        int fd = make("a", "0123456789"), second = open("a", O_RDONLY | O_CLOEXEC);
        DO(flock(fd, LOCK_EX));
        in_child("flock of another", fd, 0);
        DO(flock(fd, LOCK_UN));
        in_child("flock of another after it", fd, 0);
        DO(fcntl(fd, F_SETLK, &range));
        in_child("lock of another", fd, 1);
        DO(fcntl(fd, F_SETLK, &range));
        range.l_type = F_RDLCK;
        DO(fcntl(fd, F_SETLK, &range));
        range.l_start = 100;
        DO(fcntl(fd, F_SETLK, &range));
        in_child("lock of another of what is read-locked", fd, 1);
        DO(fcntl(fd, F_SETLK, &rest));
        in_child("lock of another of what is free", fd, 1);
        range = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
        DO(fcntl(fd, F_SETLK, &range));
        int third = open("a", O_RDWR | O_CLOEXEC);
        close(third); /* and with it all locks of this process on the file */
        in_child("lock of another after one close", fd, 1);
        range.l_type = F_WRLCK;
        DO(fcntl(second, F_SETLK, &range));
        close(second);
        close(fd);
        unlink("a");
}

static void special(void)
{
        DO(mkfifo("p", 0644));
        SHOW(S_ISFIFO(of("p").st_mode));
        int both = open("p", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        char text[8] = "";
        SHOW(write(both, "fifo", 4));
        SHOW(read(both, text, sizeof text));
        close(both);
        unlink("p");
        int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
            client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "s"};
        DO(bind(sock, (struct sockaddr *)&at, sizeof at));
        DO(listen(sock, 1));
        DO(connect(client, (struct sockaddr *)&at, sizeof at));
        SHOW(S_ISSOCK(of("s").st_mode));
        close(client);
        close(sock);
        unlink("s");
        int fd = make("program", "#!/bin/sh\nexit 7\n");
        DO(fchmod(fd, 0755));
        close(fd);
        SHOW(WEXITSTATUS(system("./program")));
        unlink("program");
        fd = make("map", "mapped text");
        char *map = mmap(NULL, 11, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        SHOW(memcmp(map, "mapped text", 11));
        memcpy(map, "MAPPED", 6);
        content("map");
        SHOW(pwrite(fd, "T", 1, 7));
        SHOW(map[7]);
        DO(msync(map, 11, MS_SYNC));
        munmap(map, 11);
        close(fd);
        unlink("map");
}

int main(int argc, char **argv)
{
        if (argc != 2 || chdir(argv[1]) < 0)
                return 99;
        umask(022);
        names();
        content_changes();
        without_name();
        attributes();
        listing();
        locks();
        special();
        fflush(stdout);
        return system("ls -A") != 0;
}
