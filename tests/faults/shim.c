/* A disk between one executable and the real one, for tests: preloaded, so that what runs is the
 * executable that ships.
 *
 * A filter of the kernel (seccomp) stops every call that changes a file, whoever makes it, the C
 * library or not, and hands it to `on_call`. What happens below the folder $FAULTS_ROOT is written
 * to the file $FAULTS_LOG in the order in which it happened, over all processes and threads. The
 * calls of this file itself carry a word in their sixth argument, by which the filter lets them
 * through; no call that is followed has six arguments of its own.
 *
 * $FAULTS_FAIL is "NUMBER KIND once|forever": the call of that number fails, or all from it on; of
 * the kind "along" each sync by another thread than the first, whatever its number.
 * A test that has the calls count from HELD on lets none fail, until it has them count from 1.
 * $FAULTS_PLANT names a fault that is planted, so that the tests show that they see it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#define WORD_LOW 0x5ea1ab1eu
#define WORD_HIGH 0x0ddba11eu
#define WORD (((long)WORD_HIGH << 32) | WORD_LOW)
#define PATH_ROOM 1024
#define HELD 0x80000000u

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
static long system_call(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = WORD;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
static long system_call(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = WORD;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
}
#else
#error "the registers of this processor are not known here"
#endif

/* What is written of a call; the texts and the bytes follow it. `shim.rs` reads it. */
enum kind { OPEN = 1, WRITE, SIZE, SYNC, RENAME, LINK, UNLINK, FOLDER, TOLD, READ };
struct entry {
  uint32_t kind;
  uint32_t number; /* Counts what may fail, from 1; 0 of what is told. */
  int32_t error;
  uint32_t path_length;
  uint32_t target_length;
  uint32_t bytes_length;
  uint64_t inode;
  int64_t offset; /* Of OPEN: 1 made, 2 emptied, 3 only opened. Of TOLD: the file number. */
};

/* One page that all processes share. */
struct shared {
  uint32_t lock;
  uint32_t calls;
};

enum failure {
  NO_FAILURE, EIO_FAILURE, ENOSPC_FAILURE, EINTR_FAILURE, SHORT_FAILURE, KILL, ALONG_FAILURE
};
static struct {
  char root[PATH_ROOM];
  size_t root_length;
  int log;
  struct shared *shared;
  uint32_t failing;
  enum failure failure;
  int forever;
  int plants_no_log_sync, plants_no_folder_sync, plants_early, plants_lost_mode, early_told;
  /* The log's sync that was left out, until the database is written. */
  struct entry left_out;
  char left_out_path[PATH_ROOM];
} own;

static void lock(void) {
  while (__atomic_exchange_n(&own.shared->lock, 1, __ATOMIC_ACQUIRE)) {
    system_call(SYS_sched_yield, 0, 0, 0, 0, 0);
  }
}

static void unlock(void) { __atomic_store_n(&own.shared->lock, 0, __ATOMIC_RELEASE); }

static void write_entry(struct entry *entry, const char *path, const char *target,
                        const struct iovec *parts, int count) {
  struct iovec all[3 + 64] = {{entry, sizeof *entry}, {(void *)path, 0}, {(void *)target, 0}};
  entry->path_length = all[1].iov_len = path ? strlen(path) : 0;
  entry->target_length = all[2].iov_len = target ? strlen(target) : 0;
  size_t left = entry->bytes_length;
  int used = 3;
  for (int i = 0; i < count && left > 0; i++, used++) {
    all[used] = parts[i];
    all[used].iov_len = parts[i].iov_len < left ? parts[i].iov_len : left;
    left -= all[used].iov_len;
  }
  if (system_call(SYS_writev, own.log, (long)all, used, 0, 0) < (long)sizeof *entry) {
    abort();
  }
}

static int is_below(const char *path) {
  return strncmp(path, own.root, own.root_length) == 0 &&
         (path[own.root_length] == '/' || path[own.root_length] == 0);
}

static long read_link(const char *link, char *path) {
  long length = system_call(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, PATH_ROOM - 1, 0);
  path[length > 0 ? length : 0] = 0;
  return length;
}

static void link_of(int file, char *link) {
  char digits[12];
  int length = 0;
  do {
    digits[length++] = '0' + file % 10;
    file /= 10;
  } while (file > 0);
  strcpy(link, "/proc/self/fd/");
  link += strlen(link);
  while (length > 0) {
    *link++ = digits[--length];
  }
  *link = 0;
}

/* The path of a file that is open; empty where it is not one of the folder's. */
static int find_open(int file, char *path) {
  char link[32];
  if (file < 0) {
    return 0;
  }
  link_of(file, link);
  return read_link(link, path) > 0 && is_below(path);
}

/* The path that a call names. */
static int find_named(int folder, const char *name, char *path) {
  path[0] = 0;
  if (!name) {
    return 0;
  }
  if (name[0] != '/') {
    char link[32] = "/proc/self/cwd";
    if (folder != AT_FDCWD) {
      link_of(folder, link);
    }
    if (read_link(link, path) <= 0) {
      return 0;
    }
    strcat(path, "/");
  }
  if (strlen(path) + strlen(name) >= PATH_ROOM) {
    abort();
  }
  strcat(path, name);
  return is_below(path);
}

static uint64_t inode_of(int file) {
  struct stat found = {0};
  system_call(SYS_fstat, file, (long)&found, 0, 0, 0);
  return found.st_ino;
}

static int ends_with(const char *path, const char *end) {
  size_t length = strlen(path), wanted = strlen(end);
  return length >= wanted && strcmp(path + length - wanted, end) == 0;
}

/* The error with which the next call fails; 0 where it does not. `takes_room`: whether a full disk
 * refuses it. */
static int count_call(struct entry *entry, int takes_room, int is_short) {
  entry->number = ++own.shared->calls;
  int is_due = own.failing && entry->number < HELD &&
               (own.forever ? entry->number >= own.failing : entry->number == own.failing);
  if (!is_due) {
    return 0;
  }
  switch (own.failure) {
    case EIO_FAILURE: return EIO;
    case ENOSPC_FAILURE: return takes_room ? ENOSPC : 0;
    case EINTR_FAILURE: return EINTR;
    case SHORT_FAILURE: return is_short ? -1 : 0;
    case KILL:
      system_call(SYS_kill, system_call(SYS_getpid, 0, 0, 0, 0, 0), SIGKILL, 0, 0, 0);
      abort();
    default: return 0;
  }
}

static void tell(int file, const struct iovec *parts, int count, size_t length) {
  struct entry entry = {.kind = TOLD, .offset = file, .bytes_length = length};
  write_entry(&entry, 0, 0, parts, count);
}

static void tell_early(const char *path) {
  if (own.plants_early && !own.early_told && ends_with(path, "-wal")) {
    own.early_told = 1;
    tell(1, 0, 0, 0);
  }
}

/* `synchronous = normal` has the log synced right before it is moved into the database. */
static void make_up_for_sync(const char *path) {
  if (own.left_out.inode && !ends_with(path, "-wal") && !ends_with(path, "-shm")) {
    write_entry(&own.left_out, own.left_out_path, 0, 0, 0);
    own.left_out.inode = 0;
  }
}

/* The size of the file, or where it stands. */
static long where_written(int file) {
  long flags = system_call(SYS_fcntl, file, F_GETFL, 0, 0, 0);
  return system_call(SYS_lseek, file, 0, flags > 0 && flags & O_APPEND ? SEEK_END : SEEK_CUR, 0, 0);
}

static long do_write(int file, const struct iovec *parts, int count, long offset) {
  if (offset < 0) {
    return system_call(SYS_writev, file, (long)parts, count, 0, 0);
  }
  return system_call(SYS_pwritev, file, (long)parts, count, offset, 0);
}

/* Leaves the bytes that say "this database has a log" as they were in a new one. */
static long write_without_mode(int file, const struct iovec *part, struct entry *entry,
                               const char *path, long offset) {
  static char page[65536];
  struct iovec changed = {page, part->iov_len};
  if (part->iov_len > sizeof page) {
    abort();
  }
  memcpy(page, part->iov_base, part->iov_len);
  page[18] = page[19] = 1;
  long result = do_write(file, &changed, 1, offset);
  entry->bytes_length = result > 0 ? result : 0;
  write_entry(entry, path, 0, &changed, 1);
  return result;
}

static long on_write(int file, const struct iovec *parts, int count, long offset) {
  char path[PATH_ROOM];
  size_t length = 0;
  for (int i = 0; i < count; i++) {
    length += parts[i].iov_len;
  }
  if (count > 64) {
    abort();
  }
  if (!find_open(file, path)) {
    struct stat found = {0};
    system_call(SYS_fstat, file, (long)&found, 0, 0, 0);
    if (file == 1 || file == 2 || S_ISSOCK(found.st_mode)) {
      lock();
      tell(file, parts, count, length);
      unlock();
    }
    return do_write(file, parts, count, offset);
  }
  lock();
  struct entry entry = {.kind = WRITE, .inode = inode_of(file)};
  entry.offset = offset < 0 ? where_written(file) : offset;
  long result;
  struct iovec first = {parts[0].iov_base, parts[0].iov_len};
  int error = count_call(&entry, 1, length > 1);
  tell_early(path);
  make_up_for_sync(path);
  if (error > 0) {
    entry.error = error;
    result = -error;
    write_entry(&entry, path, 0, 0, 0);
  } else if (own.plants_lost_mode && entry.offset == 0 && first.iov_len >= 100 &&
             memcmp(first.iov_base, "SQLite format 3", 16) == 0) {
    result = write_without_mode(file, &first, &entry, path, offset);
  } else {
    if (error < 0) {
      first.iov_len = (first.iov_len + 1) / 2;
      count = 1;
    }
    result = do_write(file, error < 0 ? &first : parts, count, offset);
    entry.bytes_length = result > 0 ? result : 0;
    write_entry(&entry, path, 0, error < 0 ? &first : parts, count);
  }
  unlock();
  return result;
}

static long on_read(long call, long file, long into, long length, long offset) {
  char path[PATH_ROOM];
  if (!own.failing || !find_open(file, path)) {
    return system_call(call, file, into, length, offset, 0);
  }
  lock();
  struct entry entry = {.kind = READ, .inode = inode_of(file), .offset = offset};
  int error = count_call(&entry, 0, length > 1);
  entry.error = error > 0 ? error : 0;
  write_entry(&entry, path, 0, 0, 0);
  unlock();
  if (error > 0) {
    return -error;
  }
  return system_call(call, file, into, error < 0 ? (length + 1) / 2 : length, offset, 0);
}

static long on_open(long folder, const char *name, long flags, long mode) {
  char path[PATH_ROOM];
  if (!find_named(folder, name, path)) {
    return system_call(SYS_openat, folder, (long)name, flags, mode, 0);
  }
  lock();
  struct stat before = {0};
  int was_there =
      system_call(SYS_newfstatat, folder, (long)name, (long)&before, AT_SYMLINK_NOFOLLOW, 0) == 0;
  struct entry entry = {.kind = OPEN};
  int error = count_call(&entry, (flags & O_CREAT) && !was_there, 0);
  long result = -error;
  if (error <= 0) {
    result = system_call(SYS_openat, folder, (long)name, flags, mode, 0);
  }
  if (result >= 0) {
    int made = (flags & O_CREAT) && !was_there;
    entry.offset = made ? 1 : (flags & O_TRUNC) ? 2 : 3;
    entry.inode = inode_of(result);
  } else {
    entry.error = -result;
  }
  write_entry(&entry, path, 0, 0, 0);
  unlock();
  return result;
}

/* Whether this is not the thread that the process began with. */
static int thread_is_another(void) {
  return system_call(SYS_gettid, 0, 0, 0, 0, 0) != system_call(SYS_getpid, 0, 0, 0, 0, 0);
}

static long on_sync(long call, int file) {
  char path[PATH_ROOM];
  if (!find_open(file, path)) {
    return system_call(call, file, 0, 0, 0, 0);
  }
  struct stat found = {0};
  lock();
  system_call(SYS_fstat, file, (long)&found, 0, 0, 0);
  struct entry entry = {.kind = SYNC, .inode = found.st_ino};
  int error = count_call(&entry, 0, 0);
  entry.error = error > 0 ? error : 0;
  if (own.failure == ALONG_FAILURE && thread_is_another()) {
    entry.error = EIO;
  }
  if (own.plants_no_folder_sync && S_ISDIR(found.st_mode)) {
    /* Left out. */
  } else if (own.plants_no_log_sync && ends_with(path, "-wal")) {
    own.left_out = entry;
    strcpy(own.left_out_path, path);
  } else {
    /* The real disk is not waited for: what is durable is worked out from the log. */
    write_entry(&entry, path, 0, 0, 0);
  }
  unlock();
  return -entry.error;
}

static long on_size(long call, int file, long a, long b, long c) {
  char path[PATH_ROOM];
  if (!find_open(file, path)) {
    return system_call(call, file, a, b, c, 0);
  }
  lock();
  struct entry entry = {.kind = SIZE, .inode = inode_of(file)};
  int error = count_call(&entry, call == SYS_fallocate, 0);
  make_up_for_sync(path);
  long result = error > 0 ? -error : system_call(call, file, a, b, c, 0);
  struct stat found = {0};
  system_call(SYS_fstat, file, (long)&found, 0, 0, 0);
  entry.offset = found.st_size;
  entry.error = result < 0 ? -result : 0;
  write_entry(&entry, path, 0, 0, 0);
  unlock();
  return result;
}

/* Renames, links, removes, makes a folder. `takes_room`: whether it makes a name. */
static long on_names(enum kind kind, long folder, const char *name, long to, const char *target,
                     long call, const long *a, int takes_room) {
  char path[PATH_ROOM], there[PATH_ROOM];
  int is_ours = find_named(folder, name, path);
  is_ours |= target && find_named(to, target, there);
  if (!is_ours) {
    return system_call(call, a[0], a[1], a[2], a[3], a[4]);
  }
  lock();
  struct entry entry = {.kind = kind};
  int error = count_call(&entry, takes_room, 0);
  long result = error > 0 ? -error : system_call(call, a[0], a[1], a[2], a[3], a[4]);
  entry.error = result < 0 ? -result : 0;
  write_entry(&entry, path, target ? there : 0, 0, 0);
  unlock();
  return result;
}

#define TEXT(argument) ((const char *)(argument))

static long answer(long call, const long *a) {
  struct iovec one = {(void *)a[1], a[2]};
  switch (call) {
    case SYS_write: return on_write(a[0], &one, 1, -1);
    case SYS_pwrite64: return on_write(a[0], &one, 1, a[3]);
    case SYS_writev: return on_write(a[0], (void *)a[1], a[2], -1);
    case SYS_pwritev: return on_write(a[0], (void *)a[1], a[2], a[3]);
    case SYS_read: return on_read(call, a[0], a[1], a[2], -1);
    case SYS_pread64: return on_read(call, a[0], a[1], a[2], a[3]);
    case SYS_sendto: {
      struct msghdr message = {.msg_name = (void *)a[4], .msg_iov = &one, .msg_iovlen = 1};
      lock();
      tell(a[0], &one, 1, one.iov_len);
      unlock();
      return system_call(SYS_sendmsg, a[0], (long)&message, a[3], 0, 0);
    }
    case SYS_openat: return on_open(a[0], TEXT(a[1]), a[2], a[3]);
    case SYS_fsync:
    case SYS_fdatasync: return on_sync(call, a[0]);
    case SYS_ftruncate:
    case SYS_fallocate: return on_size(call, a[0], a[1], a[2], a[3]);
    case SYS_renameat:
    case SYS_renameat2:
      return on_names(RENAME, a[0], TEXT(a[1]), a[2], TEXT(a[3]), call, a, 1);
    case SYS_linkat: return on_names(LINK, a[0], TEXT(a[1]), a[2], TEXT(a[3]), call, a, 1);
    case SYS_unlinkat: return on_names(UNLINK, a[0], TEXT(a[1]), 0, 0, call, a, 0);
    case SYS_mkdirat: return on_names(FOLDER, a[0], TEXT(a[1]), 0, 0, call, a, 1);
#ifdef SYS_open
    case SYS_open: return on_open(AT_FDCWD, TEXT(a[0]), a[1], a[2]);
    case SYS_creat: return on_open(AT_FDCWD, TEXT(a[0]), O_CREAT | O_WRONLY | O_TRUNC, a[1]);
    case SYS_rename:
      return on_names(RENAME, AT_FDCWD, TEXT(a[0]), AT_FDCWD, TEXT(a[1]), call, a, 1);
    case SYS_link:
      return on_names(LINK, AT_FDCWD, TEXT(a[0]), AT_FDCWD, TEXT(a[1]), call, a, 1);
    case SYS_unlink:
    case SYS_rmdir: return on_names(UNLINK, AT_FDCWD, TEXT(a[0]), 0, 0, call, a, 0);
    case SYS_mkdir: return on_names(FOLDER, AT_FDCWD, TEXT(a[0]), 0, 0, call, a, 1);
#endif
    /* What is not followed is not there; whoever asks for it has another way. */
    default: return -ENOSYS;
  }
}

static void on_call(int signal, siginfo_t *info, void *context) {
  (void)signal;
  mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
#if defined(__x86_64__)
  greg_t *g = machine->gregs;
  long a[5] = {g[REG_RDI], g[REG_RSI], g[REG_RDX], g[REG_R10], g[REG_R8]};
  g[REG_RAX] = answer(info->si_syscall, a);
#else
  long a[5];
  for (int i = 0; i < 5; i++) {
    a[i] = machine->regs[i];
  }
  machine->regs[0] = answer(info->si_syscall, a);
#endif
}

static const int STOPPED[] = {
    SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_pwritev2, SYS_read, SYS_pread64,
    SYS_sendto, SYS_openat, SYS_openat2, SYS_fsync, SYS_fdatasync, SYS_sync_file_range,
    SYS_ftruncate, SYS_truncate, SYS_fallocate, SYS_renameat, SYS_renameat2, SYS_linkat,
    SYS_symlinkat, SYS_unlinkat, SYS_mkdirat, SYS_copy_file_range, SYS_sendfile, SYS_splice,
    SYS_io_uring_setup,
#ifdef SYS_open
    SYS_open, SYS_creat, SYS_rename, SYS_link, SYS_symlink, SYS_unlink, SYS_rmdir, SYS_mkdir,
#endif
};

#define STATEMENT(code, k) ((struct sock_filter)BPF_STMT(code, k))
#define JUMP(k, yes, no) ((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, yes, no))
#define LOAD(field) STATEMENT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

static void stop_calls(void) {
  enum { COUNT = sizeof STOPPED / sizeof *STOPPED };
  struct sock_filter filter[COUNT + 11];
  int used = 0;
  filter[used++] = LOAD(arch);
  filter[used++] = JUMP(ARCHITECTURE, 1, 0);
  filter[used++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  filter[used++] = LOAD(nr);
  for (int i = 0; i < COUNT; i++) {
    filter[used++] = JUMP(STOPPED[i], COUNT - i, 0);
  }
  filter[used++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[used++] = LOAD(args[5]);
  filter[used++] = JUMP(WORD_LOW, 0, 2);
  filter[used++] = STATEMENT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]) + 4);
  filter[used++] = JUMP(WORD_HIGH, 1, 0);
  filter[used++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
  filter[used++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {used, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
    abort();
  }
}

static void read_failure(const char *text) {
  static const char *const KINDS[] = {"", "eio", "enospc", "eintr", "short", "kill", "along"};
  char *kind;
  own.failing = strtoul(text, &kind, 10);
  for (int i = EIO_FAILURE; i <= ALONG_FAILURE; i++) {
    size_t length = strlen(KINDS[i]);
    if (strncmp(kind + 1, KINDS[i], length) == 0 && kind[1 + length] == ' ') {
      own.failure = i;
      own.forever = strcmp(kind + 2 + length, "forever") == 0;
    }
  }
}

__attribute__((constructor)) static void begin(void) {
  const char *root = getenv("FAULTS_ROOT"), *log = getenv("FAULTS_LOG");
  const char *shared = getenv("FAULTS_SHARED"), *fail = getenv("FAULTS_FAIL");
  const char *plant = getenv("FAULTS_PLANT");
  if (!root || !log || !shared || strlen(root) >= PATH_ROOM) {
    abort();
  }
  strcpy(own.root, root);
  own.root_length = strlen(root);
  int file = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  own.log = fcntl(file, F_DUPFD_CLOEXEC, 500);
  close(file);
  file = open(shared, O_RDWR | O_CLOEXEC);
  own.shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (own.log < 0 || own.shared == MAP_FAILED) {
    abort();
  }
  close(file);
  if (fail) {
    read_failure(fail);
  }
  if (plant) {
    own.plants_no_log_sync = strcmp(plant, "synchronous-normal") == 0;
    own.plants_no_folder_sync = strcmp(plant, "no-folder-sync") == 0;
    own.plants_early = strcmp(plant, "told-early") == 0;
    own.plants_lost_mode = strcmp(plant, "swallowed-pragma") == 0;
  }
  struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigfillset(&action.sa_mask);
  sigdelset(&action.sa_mask, SIGSYS);
  if (sigaction(SIGSYS, &action, 0)) {
    abort();
  }
  stop_calls();
}
