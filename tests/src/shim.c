/* Faults on demand, for a program that is started with LD_PRELOAD.
 *
 * MUPDATE_SHIM names a file of numbers (see `enum slot`, and shim.rs, which writes it), MUPDATE_SHIM_DIR the data
 * directory whose files are looked at. MUPDATE_SHIM_JOURNAL, if it is there, names a file to which every write and every
 * sync of them goes: what a power cut can have left is made from it.
 */
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The numbers in the file: shim.rs has the same list. */
enum slot {
	FAIL,         /* which calls fail, a sum of `enum call` */
	SKIP,         /* so many of these calls succeed before */
	TIMES,        /* so many fail then; negative: all */
	ERROR,        /* their errno; 0: half of the octets are written */
	DELAY,        /* microseconds that a sync takes longer */
	SETTLE_DELAY, /* the same, for syncs of who is not the writer */
	OFFSET,       /* seconds that the wall clock is wrong */
	PHASE,        /* out: what the writer is at */
	SETTLING,     /* out: somebody else syncs */
	SYNCS,        /* out: syncs of the writer that have ended */
	SETTLED,      /* out: syncs of others that have ended */
	FAILED,       /* out: calls that have failed */
	SLOTS
};

enum call { WRITE = 1, META = 2, SYNC = 4, THREAD = 8, LOG_WRITE = 16, LOG_SYNC = 32 };
enum phase { IDLE, WRITING, SYNCING, COMMITTING };

/* The journal's: powercut/journal.rs has the same lists. */
enum record {
	R_WRITE = 1, /* a write begins: where, and its octets */
	R_WRITTEN,   /* this thread's write has ended: how many octets were taken */
	R_THROUGH,   /* as R_WRITTEN, and they are on the disk: the descriptor syncs each write */
	R_SYNC,      /* a sync begins */
	R_SYNCED,    /* this thread's sync has ended */
	R_ASIDE      /* the file has another name now */
};
enum file { NONE, DATA, LOG, FOLDER, FILES };

/* LMDB's first two pages are where a transaction becomes the current one, and the log's first are its two headers. */
#define META_END (2 * 4096)
#define HEADERS_END (2 * 8192)

static _Atomic int64_t none[SLOTS];
static _Atomic int64_t *slots = none;
static char paths[FILES][PATH_MAX];
static int journal = -1;

/* The thread that wrote a page or a record last. */
static _Atomic uint32_t writer;

/* What this thread wrote last needs nothing but a sync: then the writer is at nothing. */
static __thread int last;

#define REAL(name) ({ \
	static __typeof__(&name) real; \
	if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
	real; })

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("MUPDATE_SHIM"), *dir = getenv("MUPDATE_SHIM_DIR");
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
	if (dir) {
		snprintf(paths[DATA], PATH_MAX, "%s/data.mdb", dir);
		snprintf(paths[LOG], PATH_MAX, "%s/redo.log", dir);
		snprintf(paths[FOLDER], PATH_MAX, "%s", dir);
	}
	path = getenv("MUPDATE_SHIM_JOURNAL");
	if (path)
		journal = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static enum file file_of(int fd)
{
	struct stat is, wanted;
	if (!*paths[DATA] || fstat(fd, &is) != 0 || !(S_ISREG(is.st_mode) || S_ISDIR(is.st_mode)))
		return NONE;
	for (enum file file = DATA; file < FILES; file++)
		if (stat(paths[file], &wanted) == 0 && is.st_ino == wanted.st_ino && is.st_dev == wanted.st_dev)
			return file;
	return NONE;
}

static uint32_t this_thread(void)
{
	static __thread uint32_t id;
	if (!id)
		id = gettid();
	return id;
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

static void record(enum record kind, enum file file, const struct iovec *iov, int n, off_t at)
{
	struct { uint32_t kind, file, thread, length; uint64_t at; } head = { kind, file, this_thread(), 0, at };
	struct iovec all[1 + 64];
	if (journal < 0)
		return;
	if (n > 64)
		abort();
	for (int i = 0; i < n; i++) {
		all[1 + i] = iov[i];
		head.length += iov[i].iov_len;
	}
	all[0] = (struct iovec){ &head, sizeof head };
	/* One writev with O_APPEND: a record is there whole, or in its beginning when the process is killed. */
	(void)!REAL(writev)(journal, all, 1 + n);
}

/* A write to one of the files: how many octets of it are to be tried, or -1. Nothing is recorded if that is all. */
static ssize_t before_write(enum file file, const struct iovec *iov, int n, off_t at)
{
	size_t length = 0;
	int meta = file == DATA && at < META_END, header = file == LOG && at < HEADERS_END;
	const char *octets = iov[0].iov_base;
	for (int i = 0; i < n; i++)
		length += iov[i].iov_len;
	/* A header belongs to no commit, and a record that is taken back ends one. */
	last = header || (file == LOG && iov[0].iov_len >= 8 && !memcmp(octets, "\0\0\0\0\0\0\0", 8));
	if (!header) {
		slots[PHASE] = meta ? COMMITTING : WRITING;
		writer = this_thread();
	}
	if (fails(file == LOG ? LOG_WRITE : meta ? META : WRITE)) {
		if (slots[ERROR]) {
			errno = slots[ERROR];
			return -1;
		}
		length = iov[0].iov_len / 2;
		record(R_WRITE, file, &(struct iovec){ iov[0].iov_base, length }, 1, at);
		return length;
	}
	record(R_WRITE, file, iov, n, at);
	return length;
}

static ssize_t after_write(int fd, enum file file, ssize_t result, off_t at)
{
	if (result >= 0) {
		int through = fcntl(fd, F_GETFL) & O_DSYNC;
		record(through ? R_THROUGH : R_WRITTEN, file, NULL, 0, result);
		if (file == DATA && at < META_END)
			slots[PHASE] = IDLE;
	}
	return result;
}

static size_t length_of(const struct iovec *iov, int n)
{
	size_t length = 0;
	for (int i = 0; i < n; i++)
		length += iov[i].iov_len;
	return length;
}

/* The rest of every call that writes: `whole` is it, and only part of it is a pwrite. */
#define WRITES(at, whole) \
	do { \
		off_t from = (at); \
		ssize_t length = before_write(file, iov, n, from); \
		if (length < 0) \
			return length; \
		if ((size_t)length < length_of(iov, n)) \
			return after_write(fd, file, REAL(pwrite)(fd, iov[0].iov_base, length, from), from); \
		return after_write(fd, file, (whole), from); \
	} while (0)

#define ONE_WRITE(name, offset_type) \
	ssize_t name(int fd, const void *data, size_t octets, offset_type at) \
	{ \
		enum file file = file_of(fd); \
		struct iovec iov[1] = { { (void *)data, octets } }; \
		int n = 1; \
		if (file == NONE) \
			return REAL(name)(fd, data, octets, at); \
		WRITES(at, REAL(name)(fd, data, octets, at)); \
	}
ONE_WRITE(pwrite, off_t)
ONE_WRITE(pwrite64, off64_t)

#define MANY_WRITE(name, offset_type) \
	ssize_t name(int fd, const struct iovec *iov, int n, offset_type at) \
	{ \
		enum file file = file_of(fd); \
		if (file == NONE) \
			return REAL(name)(fd, iov, n, at); \
		WRITES(at, REAL(name)(fd, iov, n, at)); \
	}
MANY_WRITE(pwritev, off_t)
MANY_WRITE(pwritev64, off64_t)

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	enum file file = file_of(fd);
	if (file == NONE)
		return REAL(writev)(fd, iov, n);
	WRITES(lseek(fd, 0, SEEK_CUR), REAL(writev)(fd, iov, n));
}

ssize_t write(int fd, const void *data, size_t octets)
{
	enum file file = file_of(fd);
	struct iovec iov[1] = { { (void *)data, octets } };
	int n = 1;
	if (file == NONE)
		return REAL(write)(fd, data, octets);
	WRITES(lseek(fd, 0, SEEK_CUR), REAL(write)(fd, data, octets));
}

/* A data file may be put aside, but no file takes the place of one that we look at. */
int rename(const char *from, const char *to)
{
	if (*paths[DATA] && (!strcmp(from, paths[LOG]) || !strcmp(to, paths[DATA]) || !strcmp(to, paths[LOG])))
		abort();
	if (*paths[DATA] && !strcmp(from, paths[DATA]))
		record(R_ASIDE, DATA, NULL, 0, 0);
	return REAL(rename)(from, to);
}

int unlink(const char *path)
{
	if (*paths[DATA] && (!strcmp(path, paths[DATA]) || !strcmp(path, paths[LOG])))
		abort();
	return REAL(unlink)(path);
}

static int syncs(int fd, int (*real)(int))
{
	enum file file = file_of(fd);
	int result, of_the_writer = !writer || writer == this_thread();
	if (file == NONE)
		return real(fd);
	record(R_SYNC, file, NULL, 0, 0);
	if (file != FOLDER) {
		if (of_the_writer)
			slots[PHASE] = SYNCING;
		else
			slots[SETTLING] = 1;
		if (slots[DELAY] > 0)
			usleep(slots[DELAY]);
		if (!of_the_writer && slots[SETTLE_DELAY] > 0)
			usleep(slots[SETTLE_DELAY]);
		if (fails(file == LOG ? LOG_SYNC : SYNC)) {
			errno = slots[ERROR];
			return -1;
		}
	}
	result = real(fd);
	if (result == 0) {
		record(R_SYNCED, file, NULL, 0, 0);
		if (file == FOLDER)
			return result;
		if (of_the_writer && file == LOG && last)
			slots[PHASE] = IDLE;
		slots[of_the_writer ? SYNCS : SETTLED]++;
		if (!of_the_writer)
			slots[SETTLING] = 0;
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
