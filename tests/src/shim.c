/* Faults on demand, for a daemon that is started with LD_PRELOAD.
 *
 * MUPDATE_SHIM names a file of numbers (see `enum slot`, and shim.rs, which writes it), MUPDATE_SHIM_DATA the data file
 * whose calls are looked at. MUPDATE_SHIM_JOURNAL, if it is there, names a file to which every write and every sync of
 * the data file goes: what a power cut can have left is made from it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The numbers in the file: shim.rs has the same list. */
enum slot {
	FAIL,    /* which calls fail, a sum of `enum call` */
	SKIP,    /* so many of these calls succeed before */
	TIMES,   /* so many fail then; negative: all */
	ERROR,   /* their errno; 0: half of the octets are written */
	DELAY,   /* microseconds that a sync takes longer */
	OFFSET,  /* seconds that the wall clock is wrong */
	PHASE,   /* out: what the writer is at */
	SYNCS,   /* out: syncs that have ended */
	FAILED,  /* out: calls that have failed */
	SLOTS
};

enum call { WRITE = 1, META = 2, SYNC = 4, THREAD = 8 };
enum phase { IDLE, WRITING, SYNCING, COMMITTING };
enum record { R_WRITE = 1, R_META, R_SYNCED, R_COMMITTED };

/* LMDB's first two pages are where a transaction becomes the current one. */
#define META_END (2 * 4096)

static _Atomic int64_t none[SLOTS];
static _Atomic int64_t *slots = none;
static const char *data_path;
static int journal = -1;

#define REAL(name) ({ \
	static __typeof__(&name) real; \
	if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
	real; })

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("MUPDATE_SHIM");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;
	if (fd >= 0)
		map = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		static const char text[] = "shim: MUPDATE_SHIM cannot be mapped\n";
		(void)!REAL(write)(2, text, sizeof text - 1);
		_exit(99);
	}
	close(fd);
	slots = map;
	data_path = getenv("MUPDATE_SHIM_DATA");
	path = getenv("MUPDATE_SHIM_JOURNAL");
	if (path)
		journal = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int is_data(int fd)
{
	struct stat is, wanted;
	return data_path && fstat(fd, &is) == 0 && S_ISREG(is.st_mode) && stat(data_path, &wanted) == 0 &&
	       is.st_ino == wanted.st_ino && is.st_dev == wanted.st_dev;
}

/* Does this call fail? */
static int fails(enum call call)
{
	if (!(slots[FAIL] & call))
		return 0;
	if (slots[SKIP] > 0 && slots[SKIP]-- > 0)
		return 0;
	if (slots[TIMES] == 0)
		return 0;
	if (slots[TIMES] > 0)
		slots[TIMES]--;
	slots[FAILED]++;
	return 1;
}

static void record(enum record kind, const struct iovec *iov, int n, off_t at)
{
	struct { uint32_t kind, length; uint64_t at; } head = { kind, 0, at };
	struct iovec all[1 + 64];
	if (journal < 0)
		return;
	for (int i = 0; i < n && i < 64; i++) {
		all[1 + i] = iov[i];
		head.length += iov[i].iov_len;
	}
	all[0] = (struct iovec){ &head, sizeof head };
	/* One writev with O_APPEND: a record is there whole, or in its beginning when the process is killed. */
	(void)!REAL(writev)(journal, all, 1 + n);
}

/* A write to the data file: what it returns when it fails, -2 when it may go on. */
static ssize_t before_write(int fd, const struct iovec *iov, int n, off_t at)
{
	size_t length = 0;
	int meta = at < META_END;
	for (int i = 0; i < n; i++)
		length += iov[i].iov_len;
	slots[PHASE] = meta ? COMMITTING : WRITING;
	if (fails(meta ? META : WRITE)) {
		if (slots[ERROR]) {
			errno = slots[ERROR];
			return -1;
		}
		return REAL(pwrite)(fd, iov[0].iov_base, iov[0].iov_len / 2, at);
	}
	record(meta ? R_META : R_WRITE, iov, n, at);
	return -2;
}

static ssize_t after_write(ssize_t result, off_t at)
{
	if (result >= 0 && at < META_END) {
		record(R_COMMITTED, NULL, 0, 0);
		slots[PHASE] = IDLE;
	}
	return result;
}

#define ONE_WRITE(name, offset_type) \
	ssize_t name(int fd, const void *data, size_t length, offset_type at) \
	{ \
		struct iovec iov = { (void *)data, length }; \
		ssize_t failed; \
		if (!is_data(fd)) \
			return REAL(name)(fd, data, length, at); \
		failed = before_write(fd, &iov, 1, at); \
		return failed != -2 ? failed : after_write(REAL(name)(fd, data, length, at), at); \
	}
ONE_WRITE(pwrite, off_t)
ONE_WRITE(pwrite64, off64_t)

#define MANY_WRITE(name, offset_type) \
	ssize_t name(int fd, const struct iovec *iov, int n, offset_type at) \
	{ \
		ssize_t failed; \
		if (!is_data(fd)) \
			return REAL(name)(fd, iov, n, at); \
		failed = before_write(fd, iov, n, at); \
		return failed != -2 ? failed : after_write(REAL(name)(fd, iov, n, at), at); \
	}
MANY_WRITE(pwritev, off_t)
MANY_WRITE(pwritev64, off64_t)

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	off_t at;
	ssize_t failed;
	if (!is_data(fd))
		return REAL(writev)(fd, iov, n);
	at = lseek(fd, 0, SEEK_CUR);
	failed = before_write(fd, iov, n, at);
	return failed != -2 ? failed : after_write(REAL(writev)(fd, iov, n), at);
}

static int syncs(int fd, int (*real)(int))
{
	int result;
	if (!is_data(fd))
		return real(fd);
	slots[PHASE] = SYNCING;
	if (slots[DELAY] > 0)
		usleep(slots[DELAY]);
	if (fails(SYNC)) {
		errno = slots[ERROR];
		return -1;
	}
	result = real(fd);
	if (result == 0) {
		record(R_SYNCED, NULL, 0, 0);
		slots[SYNCS]++;
	}
	return result;
}

int fdatasync(int fd) { return syncs(fd, REAL(fdatasync)); }
int fsync(int fd) { return syncs(fd, REAL(fsync)); }

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return fails(THREAD) ? EAGAIN : REAL(pthread_create)(thread, attr, run, arg);
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	int result = REAL(clock_gettime)(id, now);
	if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		now->tv_sec += slots[OFFSET];
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int result = REAL(gettimeofday)(now, zone);
	if (result == 0)
		now->tv_sec += slots[OFFSET];
	return result;
}

time_t time(time_t *out)
{
	time_t now = REAL(time)(NULL) + slots[OFFSET];
	if (out)
		*out = now;
	return now;
}
