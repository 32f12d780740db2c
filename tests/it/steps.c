/* A process that is killed, or whose disk fails, at one of its steps, for tests. A step is a call of
 * the first thread that changes files. At step $TEST_STEP_KILLS (from 1) the process ends before the
 * step is taken; step $TEST_STEP_FAILS fails with EIO. A process that comes to its end leaves the
 * number of its steps in the file $TEST_STEP_COUNT. A link waits while $TEST_LINK_WAITS is there. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int wanted(const char *variable) {
  const char *number = getenv(variable);
  return number ? atoi(number) : 0;
}

static int taken;

__attribute__((destructor)) static void leave_count(void) {
  const char *path = getenv("TEST_STEP_COUNT");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (file) {
    fprintf(file, "%d", taken);
    fclose(file);
  }
}

static void wait_to_link(void) {
  const char *gate = getenv("TEST_LINK_WAITS");
  while (gate && access(gate, F_OK) == 0) {
    usleep(1000);
  }
}

static int fails(void) {
  /* What other threads sync along comes at no certain time. */
  if (syscall(SYS_gettid) != getpid()) {
    return 0;
  }
  int step = __atomic_add_fetch(&taken, 1, __ATOMIC_SEQ_CST);
  if (step == wanted("TEST_STEP_KILLS")) {
    kill(getpid(), SIGKILL);
  }
  if (step == wanted("TEST_STEP_FAILS")) {
    errno = EIO;
    return 1;
  }
  return 0;
}

#define STEP(result, name, parameters, call) \
  result name parameters { return fails() ? -1 : (result)syscall call; }

STEP(int, fsync, (int file), (SYS_fsync, file))
STEP(int, fdatasync, (int file), (SYS_fdatasync, file))
STEP(int, ftruncate64, (int file, off64_t length), (SYS_ftruncate, file, length))
STEP(int, ftruncate, (int file, off_t length), (SYS_ftruncate, file, length))
STEP(int, fchmod, (int file, mode_t mode), (SYS_fchmod, file, mode))
STEP(int, rename, (const char *from, const char *to),
     (SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0))
STEP(int, unlink, (const char *path), (SYS_unlinkat, AT_FDCWD, path, 0))
STEP(ssize_t, pwrite64, (int file, const void *bytes, size_t count, off64_t at),
     (SYS_pwrite64, file, bytes, count, at))
STEP(ssize_t, pwrite, (int file, const void *bytes, size_t count, off_t at),
     (SYS_pwrite64, file, bytes, count, at))

int linkat(int in, const char *from, int at, const char *to, int flags) {
  wait_to_link();
  return fails() ? -1 : (int)syscall(SYS_linkat, in, from, at, to, flags);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* What is printed is no step. */
ssize_t write(int file, const void *bytes, size_t count) {
  return file > 2 && fails() ? -1 : syscall(SYS_write, file, bytes, count);
}

static int opened(const char *path, int flags, mode_t mode) {
  return flags & O_CREAT && fails() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list more; \
    va_start(more, flags); \
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
    va_end(more); \
    return opened(path, flags, mode); \
  }

OPEN(open)
OPEN(open64)
