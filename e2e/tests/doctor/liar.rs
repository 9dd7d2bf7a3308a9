//! File systems and clocks that lie, for what no machine has at hand: a library put in front of the system's own, which answers some
//! calls of the program in another way.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::bench::Bench;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long told(const char *name) { const char *v = getenv(name); return v ? atol(v) : 0; }

/* A share that makes a file once more that exists. */
int open64(const char *path, int flags, ...) {
  int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
  va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list);
  if (told("LIAR_NOT_EXCLUSIVE") && strstr(path, "dovi-fleet-doctor")) flags &= ~O_EXCL;
  return real(path, flags, mode);
}
/* A share that forgets dates. */
int futimens(int fd, const struct timespec t[2]) {
  int (*real)(int, const struct timespec *) = dlsym(RTLD_NEXT, "futimens");
  return told("LIAR_NO_DATES") ? 0 : real(fd, t);
}
/* A slow disk: so many microseconds for each large write. */
ssize_t write(int fd, const void *buffer, size_t n) {
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  if (n >= 1 << 20 && told("LIAR_SLOW_US")) usleep(told("LIAR_SLOW_US"));
  return real(fd, buffer, n);
}
/* A wrong clock, from the n-th look at it on. */
int clock_gettime(clockid_t id, struct timespec *t) {
  static long looks;
  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
  int done = real(id, t);
  if (id == CLOCK_REALTIME && told("LIAR_CLOCK_S") && looks++ >= told("LIAR_CLOCK_FROM")) t->tv_sec += told("LIAR_CLOCK_S");
  return done;
}
"#;

/// Puts the library in front of the program, with what it shall lie about; false without a C compiler.
pub fn lies(bench: &mut Bench, about: &[(&str, &str)]) -> bool {
    let (source, library) = (bench.path("liar.c"), bench.path("liar.so"));
    fs::write(&source, SOURCE).unwrap();
    if !compiled(&source, &library) {
        return false;
    }
    bench.env("LD_PRELOAD", &library.display().to_string());
    about.iter().for_each(|(key, value)| bench.env(key, value));
    true
}

fn compiled(source: &Path, library: &Path) -> bool {
    let made =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(library).arg(source).arg("-ldl").output();
    match made {
        Ok(o) if o.status.success() => true,
        Ok(o) => panic!("{}", String::from_utf8_lossy(&o.stderr)),
        Err(_) => false,
    }
}
