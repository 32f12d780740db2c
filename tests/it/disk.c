/* A disk that fails, for tests. Each fault lasts while the file is there that the variable names:
 * TEST_DISK_HANGS: nothing gets onto the disk.
 * TEST_DISK_FULL: there is no room for SQLite's log.
 * TEST_DISK_NO_INDEX: there is no room for the log's index.
 * TEST_DISK_FAILS: what the books and their log hold cannot be flushed.
 * TEST_DISK_NO_FOLDER: no folder can be flushed.
 * TEST_DISK_NO_MOVE: nothing can be written into the database file itself.
 * TEST_DISK_ONE_OPEN: one opening of the database for writing fails, after as many as the file
 * says, which it then takes away. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_there(const char *variable) {
  const char *path = getenv(variable);
  return path && access(path, F_OK) == 0;
}

static int ends_with(const char *path, const char *end) {
  size_t length = strlen(path), end_length = strlen(end);
  return length >= end_length && strcmp(path + length - end_length, end) == 0;
}

static int is_named(int file, const char *end) {
  char link[64], path[4096] = {0};
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  return readlink(link, path, sizeof path - 1) > 0 && ends_with(path, end);
}

static int is_full(int file) {
  return (is_there("TEST_DISK_FULL") && is_named(file, "-wal")) ||
         (is_there("TEST_DISK_NO_INDEX") && is_named(file, "-shm")) ||
         (is_there("TEST_DISK_NO_MOVE") && is_named(file, ".db"));
}

static int flush(long call, int file) {
  while (is_there("TEST_DISK_HANGS")) {
    usleep(1000);
  }
  struct stat found;
  if (is_there("TEST_DISK_NO_FOLDER") && fstat(file, &found) == 0 && S_ISDIR(found.st_mode)) {
    errno = EIO;
    return -1;
  }
  if (is_there("TEST_DISK_FAILS") && (is_named(file, ".db-wal") || is_named(file, ".db"))) {
    errno = EIO;
    return -1;
  }
  return (int)syscall(call, file);
}

/* Openings before the one that fails. */
static atomic_int before = -1;

static int fails_to_open(const char *path, int flags) {
  const char *one = getenv("TEST_DISK_ONE_OPEN");
  if (!one || (flags & O_ACCMODE) != O_RDWR || !ends_with(path, ".db")) {
    return 0;
  }
  if (before < 0) {
    char text[16] = {0};
    int file = (int)syscall(SYS_openat, AT_FDCWD, one, O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, text, sizeof text - 1) < 0) {
      return 0;
    }
    close(file);
    before = atoi(text);
  }
  return before-- == 0 && unlink(one) == 0;
}

static int open_or_not(const char *path, int flags, mode_t mode) {
  if (fails_to_open(path, flags)) {
    errno = EACCES;
    return -1;
  }
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_or_not(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_or_not(path, flags | O_LARGEFILE, mode);
}

int fdatasync(int file) {
  return flush(SYS_fdatasync, file);
}

int fsync(int file) {
  return flush(SYS_fsync, file);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
  if (is_full(file)) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  return pwrite64(file, bytes, count, offset);
}

ssize_t write(int file, const void *bytes, size_t count) {
  if (is_full(file)) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_write, file, bytes, count);
}
