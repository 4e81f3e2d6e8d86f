// SPDX-License-Identifier: Apache-2.0
// Writes down what a process does to the files below $POWERCUT_FOLDER, so that a test can play a disk that loses
// whatever was not synced: preloaded before the C library, it appends one record for each call to $POWERCUT_LOG.
//
//   'W' name offset length bytes   written          'S' name   synced; without a name, the folder
//   'T' name length                truncated        'U' name   removed
//
// Numbers are 8 bytes, native order; a name is its length and its bytes.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static void put(const void *bytes, size_t length) {
    static ssize_t (*write_)(int, const void *, size_t);
    if (!write_) write_ = real("write");
    while (length > 0) {
        ssize_t n = write_(log_fd, bytes, length);
        if (n <= 0) abort();
        bytes = (const char *)bytes + n, length -= n;
    }
}

static void put_number(uint64_t n) { put(&n, sizeof n); }

static const char *watched(const char *path) {
    const char *folder = getenv("POWERCUT_FOLDER");
    size_t n = folder ? strlen(folder) : 0;
    if (!n || strncmp(path, folder, n) || (path[n] != '/' && path[n] != 0)) return NULL;
    if (log_fd < 0) log_fd = open(getenv("POWERCUT_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return path[n] ? path + n + 1 : path + n;
}

static const char *name_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n <= 0) return NULL;
    path[n] = 0;
    return watched(path);
}

static void begin(char kind, const char *name) {
    pthread_mutex_lock(&lock);
    put(&kind, 1);
    put_number(strlen(name));
    put(name, strlen(name));
}

static void end(void) { pthread_mutex_unlock(&lock); }

static void note_write(int fd, const void *bytes, ssize_t length, off_t offset) {
    char path[PATH_MAX];
    int kept = errno;
    const char *name = length > 0 ? name_of(fd, path) : NULL;
    if (name) {
        begin('W', name), put_number(offset), put_number(length), put(bytes, length);
        end();
    }
    errno = kept;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    ssize_t (*f)(int, const void *, size_t, off64_t) = real("pwrite64");
    ssize_t n = f(fd, bytes, length, offset);
    note_write(fd, bytes, n, offset);
    return n;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

ssize_t write(int fd, const void *bytes, size_t length) {
    ssize_t (*f)(int, const void *, size_t) = real("write");
    ssize_t n = f(fd, bytes, length);
    if (fd != log_fd && n > 0) note_write(fd, bytes, n, lseek(fd, 0, SEEK_CUR) - n);
    return n;
}

static void note_sync(int fd) {
    char path[PATH_MAX];
    const char *name = name_of(fd, path);
    if (name) begin('S', name), end();
}

int fsync(int fd) {
    int (*f)(int) = real("fsync");
    int r = f(fd);
    if (r == 0) note_sync(fd);
    return r;
}

int fdatasync(int fd) {
    int (*f)(int) = real("fdatasync");
    int r = f(fd);
    if (r == 0) note_sync(fd);
    return r;
}

int ftruncate64(int fd, off64_t length) {
    int (*f)(int, off64_t) = real("ftruncate64");
    int r = f(fd, length);
    char path[PATH_MAX];
    const char *name = r == 0 ? name_of(fd, path) : NULL;
    if (name) begin('T', name), put_number(length), end();
    return r;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int unlink(const char *path) {
    int (*f)(const char *) = real("unlink");
    int r = f(path);
    const char *name = r == 0 ? watched(path) : NULL;
    if (name) begin('U', name), end();
    return r;
}
