/* A library that makes CLOCK_REALTIME jump: between two looks at it, by up to two hours.
 *
 * CLOCK_MONOTONIC stays as it is. Loaded by LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

static int (*plain)(clockid_t, struct timespec *);

static int now(clockid_t clock, struct timespec *at)
{
    if (!plain)
        plain = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    return plain(clock, at);
}

/* An hour back, none, an hour forth: another one in each 70 ms. */
static time_t jump(void)
{
    struct timespec at;

    now(CLOCK_MONOTONIC, &at);
    return 3600 * ((at.tv_sec * 1000 + at.tv_nsec / 1000000) / 70 % 3 - 1);
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int failed = now(clock, at);

    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        at->tv_sec += jump();
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec real;

    (void)zone;
    now(CLOCK_REALTIME, &real);
    at->tv_sec = real.tv_sec + jump();
    at->tv_usec = real.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec real;

    now(CLOCK_REALTIME, &real);
    real.tv_sec += jump();
    if (at)
        *at = real.tv_sec;
    return real.tv_sec;
}
