/* A disk that turns read-only while the engine runs, as one does that has met an error: preloaded into the engine,
   this refuses every write to its database for as long as the file that READ_ONLY_WHILE names exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int refused(int fd) {
  const char *flag = getenv("READ_ONLY_WHILE");
  if (flag == NULL || access(flag, F_OK) != 0) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (strstr(path, "stepwell.db") == NULL) return 0;
  errno = EROFS;
  return 1;
}

#define WRITES(name, result, shape, ...)                                \
  result name shape {                                                   \
    static result (*real) shape;                                        \
    if (refused(fd)) return -1;                                         \
    if (real == NULL) real = (result (*) shape)dlsym(RTLD_NEXT, #name); \
    return real(__VA_ARGS__);                                           \
  }

WRITES(write, ssize_t, (int fd, const void *from, size_t size), fd, from, size)
WRITES(pwrite, ssize_t, (int fd, const void *from, size_t size, off_t at), fd, from, size, at)
WRITES(pwrite64, ssize_t, (int fd, const void *from, size_t size, off64_t at), fd, from, size, at)
WRITES(ftruncate, int, (int fd, off_t size), fd, size)
WRITES(ftruncate64, int, (int fd, off64_t size), fd, size)
