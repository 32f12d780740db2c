/* A disk that fails, for tests. While the file $TEST_DISK_HANGS is there, nothing gets onto it; while $TEST_DISK_FULL is
 * there, there is no room for SQLite's log. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_there(const char *variable) {
  const char *path = getenv(variable);
  return path && access(path, F_OK) == 0;
}

static int is_full(int file) {
  if (!is_there("TEST_DISK_FULL")) {
    return 0;
  }
  char link[64], path[4096] = {0};
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  return length > 4 && strcmp(path + length - 4, "-wal") == 0;
}

int fdatasync(int file) {
  while (is_there("TEST_DISK_HANGS")) {
    usleep(1000);
  }
  return (int)syscall(SYS_fdatasync, file);
}

int fsync(int file) {
  while (is_there("TEST_DISK_HANGS")) {
    usleep(1000);
  }
  return (int)syscall(SYS_fsync, file);
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
