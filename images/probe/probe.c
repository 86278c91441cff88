/* The direct test: KVM_SET_LAPIC and a guest in real mode, without QEMU.
 *
 * Each trial restores a LAPIC whose one-shot timer is armed, with a forced current
 * count (TMCCT), and lets the guest busy-wait until the timer's interrupt makes it
 * write to a port. QEMU always restores TMCCT 0; other values show what happens to a
 * timer that expires inside the call, or between it and the guest's next instruction.
 *
 *   probe TRIALS PERIOD_NS TMCCT... [-- control TRIALS]
 *
 * Prints one JSON object a line: {"progress": DONE} now and then, and one for each
 * TMCCT, the control last. A trial is lost when the vCPU's thread has used LIMIT_NS of
 * CPU time without the interrupt: that time stops when the host stalls. Then the
 * timer is armed anew; a guest that does not tick even then is an error, not a loss.
 *
 * The control restores TMICT 0, a timer that never fires: each trial must be lost.
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

#define LIMIT_NS 20000000ull
#define PROGRESS_NS 200000000ull

/* The exit code where /dev/kvm can't be opened; other failures have 4. */
#define NO_KVM 3

/* 1: incl SPINS; jmp 1b */
static const uint8_t code[] = {0x66, 0xff, 0x06, 0x00, 0x20, 0xeb, 0xf9};
/* out %al, $PORT; iret */
static const uint8_t handler[] = {0xe6, PORT, 0xcf};

static int vm, vcpu;
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
    call(vcpu, KVM_GET_LAPIC, &restored, "KVM_GET_LAPIC");
    set_reg(&restored, SPIV, 0x1ff);
    set_reg(&restored, LVTT, VECTOR);
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

/* Restore, and run until the interrupt or the limit: 1 if it came. */
static int restore_and_run(uint32_t tmict, uint32_t tmcct, int *pending)
{
    struct kvm_lapic_state after;

    /* Finish the port write of the trial before, without running the guest. */
    run->immediate_exit = 1;
    ioctl(vcpu, KVM_RUN, NULL);
    run->immediate_exit = 0;
    regs = (struct kvm_regs){.rip = CODE, .rflags = 0x202, .rsp = 0x8000};
    call(vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
    set_reg(&restored, TMICT, tmict);
    set_reg(&restored, TMCCT, tmcct);
    call(vcpu, KVM_SET_LAPIC, &restored, "KVM_SET_LAPIC");
    call(vcpu, KVM_GET_LAPIC, &after, "KVM_GET_LAPIC");
    *pending = reg(&after, IRR + (VECTOR / 32) * 0x10) >> (VECTOR % 32) & 1;

    set_limit(LIMIT_NS);
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
    return ticked;
}

static void series(const char *name, long trials, uint32_t period, uint32_t tmict, uint32_t tmcct,
                   long *done)
{
    long lost = 0, pending = 0;
    uint64_t began = now_ns(), said = began, ticked_ns = 0;
    for (long trial = 0; trial < trials; trial++, ++*done) {
        int was_pending, revived_pending;
        uint64_t start = now_ns();
        if (restore_and_run(tmict, tmcct, &was_pending)) {
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
           "\"mean_ns\": %llu, \"seconds\": %.3f}\n", name, tmcct, trials, lost, pending,
           (unsigned long long)(trials > lost ? ticked_ns / (trials - lost) : 0),
           (now_ns() - began) / 1e9);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: probe TRIALS PERIOD_NS TMCCT... [-- control TRIALS]\n");
        return 2;
    }
    /* Nobody reads the answer of an orchestrator that is gone. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    long trials = atol(argv[1]), done = 0;
    uint32_t period = strtoul(argv[2], NULL, 10);
    set_up();
    int argument = 3;
    for (; argument < argc && strcmp(argv[argument], "--"); argument++)
        series("restore", trials, period, period, strtoul(argv[argument], NULL, 10), &done);
    if (argument + 2 < argc)
        series("control", atol(argv[argument + 2]), period, 0, 0, &done);
    return 0;
}
