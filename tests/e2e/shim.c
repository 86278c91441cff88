/* Loaded into QEMU by LD_PRELOAD: zeroes TMICT in some calls of KVM_SET_LAPIC, so
 * that a real KVM guest really loses its timer. Only states with an armed timer on
 * the tick vector count; each is noted in SHIM_LOG as two bytes: the vCPU's APIC ID, and
 * '1' where it was tampered with. The log's length gives the number of the call, so that
 * the draws go on over several QEMU processes. SHIM_PERMILLE of them are tampered with,
 * drawn by SHIM_SEED. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>

#define ID 0x20
#define LVTT 0x320
#define TMICT 0x380
#define TICK_VECTOR 0x40

static uint64_t draw(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*next)(int, unsigned long, void *);
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (!next)
        next = (int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
    if (request != KVM_SET_LAPIC)
        return next(fd, request, argument);

    struct kvm_lapic_state state = *(struct kvm_lapic_state *)argument;
    uint32_t lvtt, tmict;
    memcpy(&lvtt, state.regs + LVTT, sizeof lvtt);
    memcpy(&tmict, state.regs + TMICT, sizeof tmict);
    if ((lvtt & 0xff) == TICK_VECTOR && tmict) {
        int log = open(getenv("SHIM_LOG"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        uint64_t number = lseek(log, 0, SEEK_END) / 2;
        uint64_t seed = strtoull(getenv("SHIM_SEED"), NULL, 10);
        int tamper = draw(draw(seed) + number) % 1000 < strtoull(getenv("SHIM_PERMILLE"), NULL, 10);
        if (tamper)
            memset(state.regs + TMICT, 0, sizeof tmict);
        char note[2] = { '0' + state.regs[ID + 3], tamper ? '1' : '0' };
        if (write(log, note, 2) != 2)
            abort();
        close(log);
    }
    return next(fd, request, &state);
}
