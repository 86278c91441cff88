/* Loaded into QEMU by LD_PRELOAD: makes a real KVM do wrong what a load should do right.
 *
 * SHIM_FAULT is a list of behaviours, separated by commas, each with a number where it takes
 * one: "tpr:48,irr:49,unstarted". The table at the end names them. They act at loads: calls of
 * KVM_SET_LAPIC that restore an armed timer on the tick vector.
 *
 * SHIM_PERMILLE of the loads are tampered with (default: all), drawn by SHIM_SEED. SHIM_VCPU
 * names the only vCPU that is (default: all). Each load is noted in SHIM_LOG as two bytes: the
 * vCPU's APIC ID, and '1' where it was tampered with. The log's length gives the number of the
 * load, so that the draws go on over several QEMU processes.
 *
 * A behaviour may act later, in the vCPU's own thread: before the first KVM_RUN, at a time
 * after it (a POSIX timer sends the signal by which QEMU makes KVM_RUN return), or at the exit
 * by which the guest begins to print a tick. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <linux/kvm.h>

#define ID 0x20
#define ISR 0x100
#define IRR 0x200
#define SVR 0xf0
#define LVTT 0x320
#define TMICT 0x380
#define TMCCT 0x390
#define TDCR 0x3e0
#define LVT_MASKED 0x10000
#define LVT_EXTINT 0x700
#define LVT_PERIODIC 0x20000
#define TICK_VECTOR 0x40
#define CONTROL_VECTOR 0x41

#define MSR_TSC 0x10
#define MSR_APIC_BASE 0x1b
#define MSR_DEADLINE 0x6e0
#define MSR_X2APIC_LVTT 0x832
#define X2APIC 0x400

#define MAX_VCPUS 8
#define MAX_BEHAVIOURS 8
#define MAX_DUE 8
#define DRAINED_NS 300000 /* KVM has run the guest by then, and dropped the interrupt */

struct vcpu;
typedef void action(struct vcpu *, double);

struct due {
    uint64_t at_ns;
    uint64_t run_ns; /* a KVM_RUN of this length must return before; 0: it has */
    action *act;
    double number;
};

static struct vcpu {
    int fd;
    unsigned id;
    struct kvm_run *run;
    timer_t timer;
    int has_timer, loading, tampered;
    int broken; /* KVM_RUN fails */
    int read; /* KVM_GET_LAPIC has shown an armed timer */
    unsigned ticks; /* that the guest began to print since the load */
    unsigned worn; /* ticks that it began to print in guests that were loaded */
    uint32_t lvtt, tmict; /* as they were saved */
    uint32_t first_tmict; /* in the first save */
    struct due due[MAX_DUE];
} vcpus[MAX_VCPUS];
static int vcpu_count, vm;
static char *memory; /* the guest's, from its address 0 on */

struct behaviour {
    const char *name;
    int (*page)(struct vcpu *, struct kvm_lapic_state *, double); /* 1: do not call KVM */
    action *run; /* before the first KVM_RUN after the load */
    action *tick; /* at each tick that the guest prints */
    void (*msr)(struct vcpu *, struct kvm_msr_entry *, double);
    void (*clock)(struct kvm_clock_data *, double);
};

static struct { const struct behaviour *what; double number; } chosen[MAX_BEHAVIOURS];

static int (*kvm)(int, unsigned long, void *);

/* --- small things --- */

static void must(int done)
{
    if (!done) {
        static const char what[] = "shim: a step of a fault failed\n";
        if (write(2, what, sizeof what - 1)) {}
        abort();
    }
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static uint32_t get(struct kvm_lapic_state *page, int at)
{
    uint32_t value;
    memcpy(&value, page->regs + at, sizeof value);
    return value;
}

static void set(struct kvm_lapic_state *page, int at, uint32_t value)
{
    memcpy(page->regs + at, &value, sizeof value);
}

static void set_vector(struct kvm_lapic_state *page, int at, unsigned vector)
{
    at += vector / 32 * 0x10;
    set(page, at, get(page, at) | 1u << vector % 32);
}

static void clear_vector(struct kvm_lapic_state *page, int at, unsigned vector)
{
    at += vector / 32 * 0x10;
    set(page, at, get(page, at) & ~(1u << vector % 32));
}

static uint64_t msr(struct vcpu *v, unsigned long request, uint32_t index, uint64_t value)
{
    struct { struct kvm_msrs head; struct kvm_msr_entry entry; } all = {
        .head.nmsrs = 1, .entry = { .index = index, .data = value } };
    must(kvm(v->fd, request, &all) == 1);
    return all.entry.data;
}

static void write_lvtt(struct vcpu *v, uint32_t lvtt)
{
    /* KVM_SET_LAPIC would start the timer again; a write to the MSR does not. */
    uint64_t base = msr(v, KVM_GET_MSRS, MSR_APIC_BASE, 0);
    if (!(base & X2APIC))
        msr(v, KVM_SET_MSRS, MSR_APIC_BASE, base | X2APIC);
    msr(v, KVM_SET_MSRS, MSR_X2APIC_LVTT, lvtt);
    if (!(base & X2APIC))
        msr(v, KVM_SET_MSRS, MSR_APIC_BASE, base);
}

static void wind(struct vcpu *v, uint32_t lvtt, uint32_t tmict, uint32_t tmcct)
{
    struct kvm_lapic_state page;
    must(kvm(v->fd, KVM_GET_LAPIC, &page) == 0);
    clear_vector(&page, IRR, TICK_VECTOR); /* of a period that has passed already */
    set(&page, LVTT, lvtt);
    set(&page, TMICT, tmict);
    set(&page, TMCCT, tmcct);
    must(kvm(v->fd, KVM_SET_LAPIC, &page) == 0);
}

static void interrupt(struct vcpu *v, double vector)
{
    struct kvm_msi msi = { .address_lo = 0xfee00000u | v->id << 12, .data = vector };
    must(kvm(vm, KVM_SIGNAL_MSI, &msi) >= 0);
}

/* --- later actions, in the vCPU's thread --- */

static void arm_timer(struct vcpu *v)
{
    uint64_t first = UINT64_MAX;
    for (int i = 0; i < MAX_DUE; i++)
        if (v->due[i].act && v->due[i].at_ns < first)
            first = v->due[i].at_ns;
    if (first == UINT64_MAX)
        return;
    if (!v->has_timer) {
        struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
        event._sigev_un._tid = gettid();
        must(timer_create(CLOCK_MONOTONIC, &event, &v->timer) == 0);
        v->has_timer = 1;
    }
    struct itimerspec when = { .it_value = { first / 1000000000, first % 1000000000 } };
    must(timer_settime(v->timer, TIMER_ABSTIME, &when, NULL) == 0);
}

static void later(struct vcpu *v, uint64_t after_ns, action *act, double number)
{
    for (int i = 0; i < MAX_DUE; i++)
        if (!v->due[i].act) {
            /* The signal ends a KVM_RUN a little sooner than this time after it was asked for. */
            uint64_t run_ns = (after_ns < DRAINED_NS ? after_ns : DRAINED_NS) / 3;
            v->due[i] = (struct due){ now_ns() + after_ns, run_ns, act, number };
            arm_timer(v);
            return;
        }
    must(0);
}

static void do_due(struct vcpu *v)
{
    uint64_t now = now_ns();
    for (int i = 0; i < MAX_DUE; i++)
        if (v->due[i].act && v->due[i].at_ns <= now) {
            struct due due = v->due[i];
            if (due.run_ns) { /* the thread had to wait, or KVM returned at once */
                v->due[i].at_ns = now + DRAINED_NS;
                arm_timer(v);
                continue;
            }
            v->due[i].act = NULL;
            due.act(v, due.number);
            arm_timer(v);
        }
}

/* --- behaviours --- */

static int forget(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set(page, TMICT, 0);
    return 0;
}

static int mask(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set(page, LVTT, v->lvtt | LVT_MASKED);
    return 0;
}

static int vector(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set(page, LVTT, (v->lvtt & ~0xff) | (unsigned)number);
    return 0;
}

static int turn_mode(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set(page, LVTT, v->lvtt ^ LVT_PERIODIC);
    return 0;
}

static int delivery(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set(page, LVTT, v->lvtt | (unsigned)number << 8);
    return 0;
}

static int svr(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set(page, SVR, number);
    return 0;
}

static int scale(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set(page, TMICT, v->first_tmict * number); /* a later save has what was loaded before */
    return 0;
}

static int divide(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set(page, TDCR, number);
    return 0;
}

static int irr(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set_vector(page, IRR, number);
    return 0;
}

static int isr(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set_vector(page, ISR, number);
    return 0;
}

static int other_id(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set(page, ID, (unsigned)number << 24);
    return 0;
}

static int refuse(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    errno = EINVAL;
    return 1;
}

static int ignore(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    errno = 0;
    return 1;
}

static int segv(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    raise(SIGSEGV);
    return 0;
}

static int slow(struct vcpu *v, struct kvm_lapic_state *page, double ms)
{
    usleep(ms * 1000);
    return 0;
}

/* The timer expires in a delivery mode that KVM drops; then LVTT is put right. (KVM keeps the
 * interrupt of a masked timer until it is unmasked.) What the guest reads afterwards is TMICT as
 * programmed, TMCCT 0, and nothing pending. */
static uint32_t deaf(struct vcpu *v)
{
    return (v->lvtt & ~0xff) | LVT_EXTINT; /* vector 0 in the kernel's trace */
}

static int deafen(struct vcpu *v, struct kvm_lapic_state *page, double number)
{
    set(page, LVTT, deaf(v));
    return 0;
}

static void hear(struct vcpu *v, double number)
{
    write_lvtt(v, v->lvtt);
}

static void unrunnable(struct vcpu *v, double number)
{
    v->broken = 1;
}

static void unstarted(struct vcpu *v, double number)
{
    later(v, DRAINED_NS, hear, 0);
}

static void elsewhere(struct vcpu *v, double number)
{
    unstarted(v, 0);
    later(v, DRAINED_NS, interrupt, number);
}

static void freeze(struct vcpu *v, double number)
{
    if (v->ticks == number) {
        wind(v, deaf(v), v->tmict, 0);
        unstarted(v, 0);
    }
}

/* The first tick comes after so many periods. A periodic timer whose current count would be
 * above its initial count is dropped in the periods before. */
static void first(struct vcpu *v, double periods)
{
    uint32_t count = periods * v->tmict;
    if (!(v->lvtt & LVT_PERIODIC)) {
        wind(v, v->lvtt, count, count);
    } else if (periods <= 1) {
        wind(v, v->lvtt, v->tmict, count);
    } else {
        double left = periods - (int)periods;
        wind(v, deaf(v), v->tmict, left * v->tmict);
        later(v, ((int)periods - 0.5 + left) * v->tmict, hear, 0);
    }
}

static void second(struct vcpu *v, double periods)
{
    if (v->ticks == 1)
        first(v, periods);
}

/* Every seventh tick since the first load comes after so many periods, whatever follows. */
static void seventh(struct vcpu *v, double periods)
{
    if (++v->worn % 7 == 0)
        first(v, periods);
}

static void third(struct vcpu *v, double periods)
{
    if (v->ticks == 2)
        first(v, periods);
}

/* One more tick than the timer gives, so many periods after the first. */
static void spurious(struct vcpu *v, double periods)
{
    if (v->ticks == 1)
        later(v, periods * v->tmict, interrupt, TICK_VECTOR);
}

/* An interrupt besides on this vector. */
static void besides(struct vcpu *v, double number)
{
    if (v->ticks == 1)
        interrupt(v, number);
}

static void gust(struct vcpu *v, double periods)
{
    interrupt(v, TICK_VECTOR);
    later(v, periods * v->tmict, gust, periods);
}

static void storm(struct vcpu *v, double periods)
{
    later(v, periods * v->tmict, gust, periods);
}

static void tpr(struct vcpu *v, double number)
{
    struct kvm_sregs registers; /* QEMU writes CR8 after the LAPIC */
    must(kvm(v->fd, KVM_GET_SREGS, &registers) == 0);
    registers.cr8 = (unsigned)number >> 4;
    must(kvm(v->fd, KVM_SET_SREGS, &registers) == 0);
}

static void nmi(struct vcpu *v, double number)
{
    must(kvm(v->fd, KVM_NMI, NULL) == 0);
}

/* The vCPU is in this state of KVM_SET_MP_STATE (3 is halted), and its timer's interrupt, which
 * would wake it, is dropped in another delivery mode. */
static void mp_state(struct vcpu *v, double state)
{
    struct kvm_mp_state set = { .mp_state = state };
    later(v, DRAINED_NS, hear, 0);
    must(kvm(v->fd, KVM_SET_MP_STATE, &set) == 0);
}

static void flags(struct vcpu *v, double bits)
{
    struct kvm_regs registers;
    must(kvm(v->fd, KVM_GET_REGS, &registers) == 0);
    registers.rflags ^= (uint64_t)bits;
    must(kvm(v->fd, KVM_SET_REGS, &registers) == 0);
}

static void overwrite(struct vcpu *v, double address)
{
    must(memory != NULL);
    memset(memory + (unsigned)address, 0x5a, 4096);
}

static void block_nmis(struct vcpu *v, double number)
{
    struct kvm_vcpu_events events;
    must(kvm(v->fd, KVM_GET_VCPU_EVENTS, &events) == 0);
    events.nmi.masked = 1;
    events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
    must(kvm(v->fd, KVM_SET_VCPU_EVENTS, &events) == 0);
}

static void apic_base(struct vcpu *v, double bits)
{
    msr(v, KVM_SET_MSRS, MSR_APIC_BASE, msr(v, KVM_GET_MSRS, MSR_APIC_BASE, 0) ^ (uint64_t)bits);
}

static void stall(struct vcpu *v, double periods)
{
    usleep(periods * v->tmict / 1000);
}

static void tsc(struct vcpu *v, struct kvm_msr_entry *entry, double seconds)
{
    if (entry->index == MSR_TSC)
        entry->data += (int64_t)(seconds * 1000 * kvm(v->fd, KVM_GET_TSC_KHZ, NULL));
}

static void no_deadline(struct vcpu *v, struct kvm_msr_entry *entry, double number)
{
    if (entry->index == MSR_DEADLINE)
        entry->data = 0;
}

static void shift_clock(struct kvm_clock_data *data, double seconds)
{
    data->clock += (int64_t)(seconds * 1e9);
}

static const struct behaviour BEHAVIOURS[] = {
    /* The restored registers. */
    { "forget", .page = forget },       /* TMICT is 0 */
    { "mask", .page = mask },           /* LVTT is masked */
    { "vector", .page = vector },       /* LVTT has this vector */
    { "mode", .page = turn_mode },      /* one-shot becomes periodic, and the other way round */
    { "delivery", .page = delivery },   /* LVTT has this delivery mode */
    { "svr", .page = svr },             /* the spurious vector register: 255 is switched off */
    { "scale", .page = scale },         /* TMICT is multiplied */
    { "divide", .page = divide },       /* the divide configuration register, as written */
    { "irr", .page = irr },             /* this vector is requested as well */
    { "isr", .page = isr },             /* this vector is in service as well */
    { "id", .page = other_id },
    { "refuse", .page = refuse },       /* KVM_SET_LAPIC fails */
    { "ignore", .page = ignore },       /* KVM_SET_LAPIC succeeds, and does nothing */
    { "keep" },                         /* no KVM_SET_LAPIC does anything, once one was saved */
    { "segv", .page = segv },           /* QEMU crashes */
    { "unrunnable", .run = unrunnable }, /* KVM_RUN fails */
    { "slow", .page = slow },           /* KVM_SET_LAPIC takes so many ms */
    /* The restored timer. */
    { "unstarted", .page = deafen, .run = unstarted },
    { "elsewhere", .page = deafen, .run = elsewhere }, /* the tick comes on this vector */
    { "first", .run = first },          /* periods until the first tick */
    { "second", .tick = second },       /* periods from the first tick to the second */
    { "third", .tick = third },
    { "seventh", .tick = seventh },     /* periods until every seventh tick, for good */
    { "spurious", .tick = spurious },   /* a tick besides, so many periods after the first */
    { "besides", .tick = besides },     /* an interrupt on this vector, after the first tick */
    { "storm", .run = storm },          /* a tick besides every so many periods, for good */
    { "freeze", .tick = freeze },       /* the re-arm at this tick starts no timer */
    { "tpr", .run = tpr },
    { "nmi", .run = nmi },
    { "state", .page = deafen, .run = mp_state }, /* KVM's state of the vCPU: 3 is halted */
    { "flags", .run = flags },          /* bits to turn in RFLAGS: 512 is IF */
    { "overwrite", .run = overwrite },  /* a page of the guest's memory has another content */
    { "block", .run = block_nmis },     /* NMIs stay blocked */
    { "base", .run = apic_base },       /* bits to turn in IA32_APIC_BASE: 2048 on, 1024 x2APIC */
    { "stall", .run = stall },          /* the vCPU waits so many periods, which is no fault */
    /* The restored MSRs. */
    { "tsc", .msr = tsc },              /* seconds that are added to the TSC */
    { "kvmclock", .clock = shift_clock }, /* kvmclock jumps by so many seconds */
    { "deadline", .msr = no_deadline }, /* IA32_TSC_DEADLINE is 0 */
};

/* --- loads --- */

static uint64_t draw(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static double number_of(const char *name, double usual)
{
    const char *value = getenv(name);
    return value ? strtod(value, NULL) : usual;
}

/* Decide whether to tamper with this load, and note it. */
static int tampers(struct vcpu *v)
{
    int log = open(getenv("SHIM_LOG"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    uint64_t number = lseek(log, 0, SEEK_END) / 2;
    int drawn = draw(draw(number_of("SHIM_SEED", 1)) + number) % 1000
              < (uint64_t)number_of("SHIM_PERMILLE", 1000);
    int done = drawn && number_of("SHIM_VCPU", v->id) == v->id;
    char note[2] = { '0' + v->id, '0' + done };
    must(write(log, note, 2) == 2);
    close(log);
    return done;
}

static int chose(const char *name)
{
    for (int i = 0; chosen[i].what; i++)
        if (!strcmp(chosen[i].what->name, name))
            return 1;
    return 0;
}

/* QEMU reads the LAPIC of a stopped guest when it is saved, and before. */
static int get_lapic(struct vcpu *v, struct kvm_lapic_state *page)
{
    int result = kvm(v->fd, KVM_GET_LAPIC, page);
    if (result == 0 && get(page, LVTT) & 0xff && get(page, TMICT) | (get(page, LVTT) & 0x40000))
        v->read = 1;
    return result;
}

static int set_lapic(struct vcpu *v, struct kvm_lapic_state *given)
{
    if (v->read && chose("keep"))
        return 0; /* not even the reset before a load */
    struct kvm_lapic_state page = *given;
    unsigned vector = get(&page, LVTT) & 0xff;
    int kept = 0;
    memset(v->due, 0, sizeof v->due);
    v->loading = v->tampered = 0;
    /* A timer in TSC-deadline mode has no initial count. */
    int armed = get(&page, TMICT) || get(&page, LVTT) & 0x40000;
    if (armed && (vector == TICK_VECTOR || vector == CONTROL_VECTOR)) {
        v->loading = 1;
        v->ticks = 0;
        v->lvtt = get(&page, LVTT);
        v->tmict = get(&page, TMICT);
        if (!v->first_tmict)
            v->first_tmict = v->tmict;
        v->tampered = vector == TICK_VECTOR && tampers(v);
    }
    for (int i = 0; v->tampered && chosen[i].what; i++)
        if (chosen[i].what->page)
            kept |= chosen[i].what->page(v, &page, chosen[i].number);
    return kept ? -(errno != 0) : kvm(v->fd, KVM_SET_LAPIC, &page);
}

static int set_msrs(struct vcpu *v, struct kvm_msrs *given)
{
    size_t size = sizeof *given + given->nmsrs * sizeof given->entries[0];
    struct kvm_msrs *copy = malloc(size);
    must(copy != NULL);
    memcpy(copy, given, size);
    for (unsigned at = 0; at < copy->nmsrs; at++)
        for (int i = 0; v->loading && v->tampered && chosen[i].what; i++)
            if (chosen[i].what->msr)
                chosen[i].what->msr(v, &copy->entries[at], chosen[i].number);
    int result = kvm(v->fd, KVM_SET_MSRS, copy);
    free(copy);
    return result;
}

/* QEMU sets kvmclock as the VM goes on after a load. */
static int set_clock(int fd, const struct kvm_clock_data *given)
{
    struct kvm_clock_data data = *given;
    for (int i = 0; vcpu_count && vcpus[0].loading && vcpus[0].tampered && chosen[i].what; i++)
        if (chosen[i].what->clock)
            chosen[i].what->clock(&data, chosen[i].number);
    return kvm(fd, KVM_SET_CLOCK, &data);
}

static int run(struct vcpu *v)
{
    if (v->loading) {
        v->loading = 0;
        for (int i = 0; v->tampered && chosen[i].what; i++)
            if (chosen[i].what->run)
                chosen[i].what->run(v, chosen[i].number);
    }
    do_due(v);
    if (v->broken) {
        errno = EFAULT;
        return -1;
    }
    uint64_t began = now_ns();
    int result = kvm(v->fd, KVM_RUN, NULL), failed = errno;
    for (int i = 0; i < MAX_DUE; i++)
        if (now_ns() - began >= v->due[i].run_ns)
            v->due[i].run_ns = 0;
    struct kvm_run *exit = v->run;
    if (v->tampered && result == 0 && exit->exit_reason == KVM_EXIT_IO
        && exit->io.direction == KVM_EXIT_IO_OUT
        && memchr((char *)exit + exit->io.data_offset, 'T', exit->io.count * exit->io.size)) {
        v->ticks++;
        for (int i = 0; chosen[i].what; i++)
            if (chosen[i].what->tick)
                chosen[i].what->tick(v, chosen[i].number);
    }
    errno = failed;
    return result;
}

/* --- entry --- */

static void choose(void)
{
    kvm = (int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
    char *list = strdup(getenv("SHIM_FAULT")), *rest = list, *word;
    for (int n = 0; (word = strsep(&rest, ",")); n++) {
        char *number = strchr(word, ':');
        if (number)
            *number++ = 0;
        must(n < MAX_BEHAVIOURS - 1);
        chosen[n].number = number ? strtod(number, NULL) : 0;
        for (size_t i = 0; i < sizeof BEHAVIOURS / sizeof BEHAVIOURS[0]; i++)
            if (!strcmp(BEHAVIOURS[i].name, word))
                chosen[n].what = &BEHAVIOURS[i];
        must(chosen[n].what != NULL);
    }
    free(list);
}

static void add_vcpu(int kvm_vm, int fd, unsigned id)
{
    static int size;
    must(vcpu_count < MAX_VCPUS);
    if (!size) {
        int device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        size = kvm(device, KVM_GET_VCPU_MMAP_SIZE, NULL);
        close(device);
    }
    void *page = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    must(page != MAP_FAILED);
    vm = kvm_vm;
    vcpus[vcpu_count++] = (struct vcpu){ .fd = fd, .id = id, .run = page };
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (!kvm)
        choose();
    if (request == KVM_SET_USER_MEMORY_REGION) {
        struct kvm_userspace_memory_region *region = argument;
        if (region->guest_phys_addr == 0 && region->memory_size)
            memory = (char *)region->userspace_addr;
    }
    if (request == KVM_CREATE_VCPU) {
        int made = kvm(fd, request, argument);
        if (made >= 0)
            add_vcpu(fd, made, (uintptr_t)argument);
        return made;
    }
    if (request == KVM_SET_CLOCK)
        return set_clock(fd, argument);
    for (int i = 0; i < vcpu_count; i++)
        if (vcpus[i].fd == fd) {
            if ((unsigned)request == KVM_GET_LAPIC) /* QEMU may have extended its sign */
                return get_lapic(&vcpus[i], argument);
            if (request == KVM_SET_LAPIC)
                return set_lapic(&vcpus[i], argument);
            if (request == KVM_SET_MSRS)
                return set_msrs(&vcpus[i], argument);
            if (request == KVM_RUN)
                return run(&vcpus[i]);
        }
    return kvm(fd, request, argument);
}
