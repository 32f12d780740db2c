/* A machine that is short of threads, for tests: no more than $TEST_THREADS of a process are alive
 * at a time, its first one left out. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

struct start {
  void *(*run)(void *);
  void *with;
};

static atomic_int alive;

static void *count(void *given) {
  struct start start = *(struct start *)given;
  free(given);
  void *done = start.run(start.with);
  alive--;
  return done;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *with) {
  const char *most = getenv("TEST_THREADS");
  if (most && alive >= atoi(most)) {
    return EAGAIN;
  }
  struct start *start = malloc(sizeof *start);
  *start = (struct start){run, with};
  alive++;
  int failed = ((create *)dlsym(RTLD_NEXT, "pthread_create"))(thread, attributes, count, start);
  if (failed) {
    alive--;
    free(start);
  }
  return failed;
}
