/* The direct test: KVM_SET_LAPIC and a guest in real mode, without QEMU.
 *
 * Each trial restores a LAPIC whose timer is armed, with so much time left, and lets the
 * guest busy-wait until the timer's interrupt makes it write to a port.
 *
 *   probe MODE TRIALS PERIOD_NS LEFT_NS[xTRIALS]... [-- control TRIALS]
 *
 * The modes are those of the LAPIC's timer:
 *   one-shot      LEFT_NS is the forced current count (TMCCT). QEMU always restores 0; other
 *                 values show what happens to a timer that expires inside the call, or between
 *                 it and the guest's next instruction.
 *   periodic      likewise. KVM takes 0 for a whole period.
 *   tsc-deadline  the deadline is LEFT_NS after the TSC at that moment. It is written after the
 *                 LAPIC, as QEMU does.
 * The period of a series is at least twice its LEFT_NS.
 *
 * Prints one JSON object a line: {"progress": DONE} now and then, and one for each LEFT_NS,
 * the control last. A trial is lost when the vCPU's thread has used LIMIT_NS of CPU time
 * without the interrupt: that time stops when the host stalls. A periodic timer goes on after a
 * lost interrupt: its trial is lost when the first interrupt took more than one and a half
 * periods of CPU time, and as many turns of the guest's loop. Its period is at least
 * LONG_PERIOD_NS. After a loss the timer is armed anew; a guest that does not tick even
 * then is an error, not a loss.
 *
 * The control restores a timer that is not armed and never fires: each trial must be lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/kvm.h>

#define MEMORY 0x10000
#define CODE 0x1000
#define HANDLER 0x1100
#define SPINS 0x2000
#define PORT 0x10
#define VECTOR 0x40

#define SPIV 0x0f0
#define ISR 0x100
#define IRR 0x200
#define LVTT 0x320
#define TMICT 0x380
#define TMCCT 0x390
#define TDCR 0x3e0

#define LVTT_PERIODIC (1u << 17)
#define LVTT_TSC_DEADLINE (2u << 17)

#define MSR_TSC 0x10
#define MSR_TSC_DEADLINE 0x6e0
#define CPUID_TSC_DEADLINE (1u << 24)
#define CPUID_ENTRIES 256

#define LIMIT_NS 20000000ull
#define LONG_PERIOD_NS 4000000u
#define CALIBRATIONS 5
#define PROGRESS_NS 200000000ull

/* The exit code where /dev/kvm can't be opened; other failures have 4. */
#define NO_KVM 3

/* 1: incl SPINS; jmp 1b */
static const uint8_t code[] = {0x66, 0xff, 0x06, 0x00, 0x20, 0xeb, 0xf9};
/* out %al, $PORT; iret */
static const uint8_t handler[] = {0xe6, PORT, 0xcf};

static const struct mode {
    const char *name;
    uint32_t lvtt;
} modes[] = {{"one-shot", 0}, {"periodic", LVTT_PERIODIC}, {"tsc-deadline", LVTT_TSC_DEADLINE}};

static int vm, vcpu;
static uint32_t lvtt;
static uint64_t tsc_khz;
static volatile uint32_t *spins;
static uint64_t spins_per_period;
static struct kvm_run *run;
static struct kvm_regs regs;
static struct kvm_sregs sregs;
static struct kvm_lapic_state restored;
static timer_t limit;

static void fail_with(int code, const char *doing)
{
    fprintf(stderr, "%s: %s\n", doing, strerror(errno));
    exit(code);
}

static void fail(const char *doing)
{
    fail_with(4, doing);
}

static void call(int fd, unsigned long request, void *argument, const char *doing)
{
    if (ioctl(fd, request, argument) < 0)
        fail(doing);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint32_t reg(const struct kvm_lapic_state *s, int offset)
{
    uint32_t value;
    memcpy(&value, s->regs + offset, sizeof value);
    return value;
}

static void set_reg(struct kvm_lapic_state *s, int offset, uint32_t value)
{
    memcpy(s->regs + offset, &value, sizeof value);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint64_t msr(unsigned long request, uint32_t index, uint64_t value, const char *doing)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } one = {{.nmsrs = 1}, {.index = index, .data = value}};
    if (ioctl(vcpu, request, &one) != 1)
        fail(doing);
    return one.entry.data;
}

/* KVM takes every timer for one-shot until the vCPU has a CPUID, and TSC-deadline only if the
 * CPUID has it. */
static void offer_modes(int kvm)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[CPUID_ENTRIES];
    } *cpuid = calloc(1, sizeof *cpuid);
    if (!cpuid)
        fail("calloc");
    cpuid->head.nent = CPUID_ENTRIES;
    call(kvm, KVM_GET_SUPPORTED_CPUID, cpuid, "KVM_GET_SUPPORTED_CPUID");
    for (unsigned i = 0; i < cpuid->head.nent; i++)
        if (cpuid->head.entries[i].function == 1)
            cpuid->head.entries[i].ecx |= CPUID_TSC_DEADLINE;
    call(vcpu, KVM_SET_CPUID2, cpuid, "KVM_SET_CPUID2");
    free(cpuid);
    int khz = ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
    if (khz <= 0)
        fail("KVM_GET_TSC_KHZ");
    tsc_khz = khz;
}

static void on_limit(int signal)
{
    (void)signal;
    run->immediate_exit = 1;
}

static void set_limit(uint64_t ns)
{
    struct itimerspec spec = {.it_value = {ns / 1000000000, ns % 1000000000}};
    if (timer_settime(limit, 0, &spec, NULL) < 0)
        fail("timer_settime");
}

static void set_up(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        fail_with(NO_KVM, "/dev/kvm");
    vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0)
        fail("KVM_CREATE_VM");
    call(vm, KVM_SET_TSS_ADDR, (void *)0xfffbd000, "KVM_SET_TSS_ADDR");
    call(vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP");
    uint8_t *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    struct kvm_userspace_memory_region region = {
        .memory_size = MEMORY, .userspace_addr = (uintptr_t)memory};
    call(vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
    spins = (uint32_t *)(memory + SPINS);
    memcpy(memory + CODE, code, sizeof code);
    memcpy(memory + HANDLER, handler, sizeof handler);
    for (int vector = 0; vector < 256; vector++)
        memcpy(memory + 4 * vector, &(uint16_t[]){HANDLER, 0}, 4);

    vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    if (vcpu < 0)
        fail("KVM_CREATE_VCPU");
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED)
        fail("mmap of the vCPU");
    call(vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
    sregs.cs.base = sregs.cs.selector = 0;
    call(vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
    if (lvtt)
        offer_modes(kvm);
    call(vcpu, KVM_GET_LAPIC, &restored, "KVM_GET_LAPIC");
    set_reg(&restored, SPIV, 0x1ff);
    set_reg(&restored, LVTT, VECTOR | lvtt);
    set_reg(&restored, TDCR, 0x0b);
    for (int offset = 0; offset < 0x80; offset += 0x10) {
        set_reg(&restored, ISR + offset, 0);
        set_reg(&restored, IRR + offset, 0);
    }

    struct sigaction action = {.sa_handler = on_limit};
    sigaction(SIGUSR1, &action, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    event._sigev_un._tid = syscall(SYS_gettid);
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &limit) < 0)
        fail("timer_create");
}

/* Restore a timer that is not armed if its period is 0. */
static void restore(uint32_t period, uint32_t left)
{
    int by_deadline = lvtt == LVTT_TSC_DEADLINE;
    set_reg(&restored, TMICT, by_deadline ? 0 : period);
    set_reg(&restored, TMCCT, by_deadline ? 0 : left);
    call(vcpu, KVM_SET_LAPIC, &restored, "KVM_SET_LAPIC");
    if (by_deadline) {
        uint64_t now = msr(KVM_GET_MSRS, MSR_TSC, 0, "KVM_GET_MSRS of the TSC");
        uint64_t deadline = period ? now + left * tsc_khz / 1000000 : 0;
        msr(KVM_SET_MSRS, MSR_TSC_DEADLINE, deadline, "KVM_SET_MSRS of the TSC deadline");
    }
}

/* Restore, and run until the interrupt or the limit: 1 if it came in time. */
static int restore_and_run(uint32_t period, uint32_t left, int *pending)
{
    struct kvm_lapic_state after;

    /* Finish the port write of the trial before, without running the guest. */
    run->immediate_exit = 1;
    ioctl(vcpu, KVM_RUN, NULL);
    run->immediate_exit = 0;
    regs = (struct kvm_regs){.rip = CODE, .rflags = 0x202, .rsp = 0x8000};
    call(vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
    restore(period, left);
    call(vcpu, KVM_GET_LAPIC, &after, "KVM_GET_LAPIC");
    *pending = reg(&after, IRR + (VECTOR / 32) * 0x10) >> (VECTOR % 32) & 1;

    /* A periodic timer whose period is long gets its one and a half periods, and no less. */
    uint64_t late_ns = period + period / 2, limit_ns = late_ns > LIMIT_NS ? late_ns : LIMIT_NS;
    uint64_t began = cpu_ns();
    *spins = 0;
    set_limit(limit_ns);
    int ended = 0, ticked = 0;
    while (!ended) {
        if (ioctl(vcpu, KVM_RUN, NULL) < 0) {
            if (errno != EINTR)
                fail("KVM_RUN");
            ended = run->immediate_exit;
        } else if (run->exit_reason == KVM_EXIT_IO && run->io.port == PORT) {
            ended = ticked = 1;
        } else {
            fprintf(stderr, "KVM_RUN: the guest left with exit reason %u\n", run->exit_reason);
            exit(4);
        }
    }
    set_limit(0);
    run->immediate_exit = 0;
    if (spins_per_period && cpu_ns() - began > late_ns && *spins > spins_per_period * 5 / 4)
        return 0;
    return ticked;
}

/* The turns of the guest's loop in a period are the most that it made: it may wait for a CPU. */
static void calibrate(uint32_t period)
{
    uint64_t most = 0;
    spins_per_period = 0;
    for (int n = 0, pending; n < CALIBRATIONS; n++) {
        if (!restore_and_run(period, period / 2, &pending)) {
            fprintf(stderr, "the guest does not tick by a timer with half of its period left\n");
            exit(4);
        }
        most = *spins > most ? *spins : most;
    }
    spins_per_period = 2 * most;
}

static void series(const char *name, long trials, uint32_t period, int armed, uint32_t left,
                   long *done)
{
    if (lvtt == LVTT_PERIODIC && period < LONG_PERIOD_NS)
        period = LONG_PERIOD_NS;
    if (left > period / 2)
        period = 2 * left;
    if (lvtt == LVTT_PERIODIC)
        calibrate(period);
    long lost = 0, pending = 0;
    uint64_t began = now_ns(), said = began, ticked_ns = 0;
    for (long trial = 0; trial < trials; trial++, ++*done) {
        int was_pending, revived_pending;
        uint64_t start = now_ns();
        if (restore_and_run(armed ? period : 0, left, &was_pending)) {
            ticked_ns += now_ns() - start;
        } else {
            lost++;
            /* Half a period to go: on every kernel this one ticks. */
            if (!restore_and_run(period, period / 2, &revived_pending)) {
                fprintf(stderr, "the guest does not tick even when its timer is armed anew\n");
                exit(4);
            }
        }
        pending += was_pending;
        if (now_ns() - said > PROGRESS_NS) {
            said = now_ns();
            printf("{\"progress\": %ld}\n", *done);
            fflush(stdout);
        }
    }
    printf("{\"series\": \"%s\", \"tmcct_ns\": %u, \"trials\": %ld, \"lost\": %ld, \"pending\": %ld, "
           "\"mean_ns\": %llu, \"seconds\": %.3f}\n", name, left, trials, lost, pending,
           (unsigned long long)(trials > lost ? ticked_ns / (trials - lost) : 0),
           (now_ns() - began) / 1e9);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const struct mode *mode = modes, *end = modes + sizeof modes / sizeof *modes;
    while (argc > 1 && mode < end && strcmp(mode->name, argv[1]))
        mode++;
    if (argc < 5 || mode == end) {
        fprintf(stderr,
                "usage: probe MODE TRIALS PERIOD_NS LEFT_NS[xTRIALS]... [-- control TRIALS]\n");
        return 2;
    }
    lvtt = mode->lvtt;
    /* Nobody reads the answer of an orchestrator that is gone. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    long trials = atol(argv[2]), done = 0;
    uint32_t period = strtoul(argv[3], NULL, 10);
    set_up();
    int argument = 4;
    for (; argument < argc && strcmp(argv[argument], "--"); argument++) {
        char *rest;
        uint32_t left = strtoul(argv[argument], &rest, 10);
        series("restore", *rest == 'x' ? atol(rest + 1) : trials, period, 1, left, &done);
    }
    if (argument + 2 < argc)
        series("control", atol(argv[argument + 2]), period, 0, 0, &done);
    return 0;
}
