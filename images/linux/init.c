/*
 * The first process of the Linux guest: it ticks, and says so as the tick firmware does.
 *
 * One process is pinned to each vCPU. A CPU-time timer of 1 ms expires only in the kernel's tick
 * on the CPU on which its process runs, so each SIGALRM is one tick of that vCPU's timer. Between
 * ticks a process does nothing but count turns of a loop in memory. Every so many ticks of the
 * kernel are one tick of the guest, which is numbered and printed.
 *
 * README.md in this folder has the lines, the state block and the configuration. Build it with
 * build.sh: there is no C library, and nothing but this file.
 */

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

/* --- what Linux and the machine say (asm/unistd_64.h, asm/apicdef.h) --------------------------- */

enum {
    SYS_read = 0, SYS_open = 2, SYS_close = 3, SYS_mmap = 9, SYS_munmap = 11,
    SYS_rt_sigaction = 13, SYS_rt_sigprocmask = 14, SYS_rt_sigreturn = 15, SYS_nanosleep = 35,
    SYS_getpid = 39, SYS_clone = 56, SYS_sysinfo = 99, SYS_rt_sigtimedwait = 128, SYS_mount = 165,
    SYS_iopl = 172, SYS_sched_setaffinity = 203, SYS_timer_create = 222, SYS_timer_settime = 223,
    SYS_clock_gettime = 228, SYS_clock_getres = 229,
};

enum { CLOCK_MONOTONIC = 1, CLOCK_PROCESS_CPUTIME_ID = 2, CLOCK_MONOTONIC_COARSE = 6 };
enum { SIGALRM = 14, SIGCHLD = 17 };
enum { SA_RESTORER = 0x04000000, SA_RESTART = 0x10000000, SA_NODEFER = 0x40000000 };
enum { O_RDWR = 2, O_SYNC = 04010000 };
enum { PROT_RW = 3, MAP_SHARED = 1, MAP_PRIVATE_POPULATED = 0x8022 };

enum {
    APIC_TPR = 0x80, APIC_PPR = 0xa0, APIC_ISR = 0x100, APIC_IRR = 0x200, APIC_ICR = 0x300,
    APIC_LVTT = 0x320, APIC_TMICT = 0x380, APIC_TMCCT = 0x390, APIC_TDCR = 0x3e0,
};
#define LAPIC 0xfee00000UL
#define LVT_MASKED 0x10000
#define ICR_SELF 0x40000

/* LOCAL_TIMER_VECTOR, and a vector whose handler only ends its interrupt unless KVM runs here. */
#define VEC_TICK 0xec
#define VEC_SWALLOW 0xf1

/* --- the state block and the configuration, as the tick firmware has them ---------------------- */

#define MAGIC 0x314b544c
#define BLOCKS 0x1000UL
#define STRIDE 0x2000UL
#define VCPUS_MAX 8
#define PORT 0xe900

struct state {
    u32 magic, printing, ticks, arms, spins, printed, nmis, stage, tick_spins, tick_tsc[2];
    u32 print_tsc, swallowed, strays, cycles, spins_most, window, mute, id, port, deadline[2];
    u32 turn, stolen, longest, longest_end, turn_limit, hold, hold_whole, held, last_end;
    u32 kvmclock[2], own[7], stray, spurious;
};

/* Behind the first block: what all vCPUs share. */
#define SHARED (BLOCKS + 0x800)
struct shared {
    u32 online, go, lock;
};

enum { BOOTING, TICKING, CONTROL, SILENT, HALTED };
enum { ONE_SHOT, PERIODIC, DEADLINE, MODES };
enum { FAULT_NONE, FAULT_LVTT_MASKED = 3, FAULT_TIMER_STOPPED = 6, FAULT_MUTE = 7 };
enum { BUSY, HALT, WAITS };

struct config {
    u32 mode, x2apic, period, control, window, fault, fault_tick, print_delay, vcpus, shared;
    u32 subject, wait, state;
};
#define FIELDS 13

/* Why the guest refuses to tick: REFUSALS in orchestrator/guest/linux/lines.py has the words. */
enum {
    NO_CONFIG = 1, BAD_SIZE, BAD_MAGIC, BAD_DIGIT, BAD_MODE, VCPUS_MISSING = 9, TOO_MANY_VCPUS,
    BAD_WAIT, NO_DEV_MEM = 32, NOT_IN_MODE, OTHER_VECTOR, BAD_PERIOD, NO_TIMER, NO_PROC,
};

static struct config config;
static volatile struct state *self;
static volatile struct shared *shared;
static volatile u8 *lapic;
static u32 kernel_ticks_per_tick;
static volatile u32 kernel_ticks;
static volatile u64 tick_tsc;
static u64 period_cycles, tick_before, nmis_known;
static u32 lvtt;

/* --- system calls ------------------------------------------------------------------------------ */

static long call6(long number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    register u64 r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall" : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define call(number, a, b, c, d) \
    call6(number, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0, 0)

/* GCC may call these two, whatever it compiles. */
void *memset(void *to, int byte, u64 size)
{
    for (volatile u8 *at = to; size; size--)
        *at++ = (u8)byte;
    return to;
}

void *memcpy(void *to, const void *from, u64 size)
{
    volatile u8 *at = to;
    for (const u8 *next = from; size; size--)
        *at++ = *next++;
    return to;
}

static u64 rdtsc(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (u64)high << 32 | low;
}

static u32 apic_read(u32 offset) { return *(volatile u32 *)(lapic + offset); }
static void apic_write(u32 offset, u32 value) { *(volatile u32 *)(lapic + offset) = value; }

/* A clock in ns. */
static u64 clock_ns(int clock)
{
    u64 now[2] = {0, 0};
    call(SYS_clock_gettime, clock, now, 0, 0);
    return now[0] * 1000000000 + now[1];
}

static void rest(u64 ns)
{
    u64 wanted[2] = {ns / 1000000000, ns % 1000000000};
    call(SYS_nanosleep, wanted, 0, 0, 0);
}

/* --- lines ------------------------------------------------------------------------------------- */

static char line[512];
static u32 line_size, line_sum;

static void line_begin(char kind)
{
    line[0] = kind;
    line[1] = (char)('0' + self->id);
    line_size = 2;
    line_sum = (u32)kind | self->id << 8;
}

static void hex(u32 value)
{
    int shift = 28;
    while (shift && !(value >> shift))
        shift -= 4;
    line[line_size++] = ' ';
    for (; shift >= 0; shift -= 4)
        line[line_size++] = "0123456789abcdef"[value >> shift & 15];
}

static void field(u32 value)
{
    line_sum = (line_sum << 5 | line_sum >> 27) + value;
    hex(value);
}

static void field64(u64 value)
{
    field((u32)(value >> 32));
    field((u32)value);
}

/* All of a line leaves by one instruction, which is one exit under KVM. */
static void line_print(void)
{
    hex(line_sum);
    line[line_size++] = '\n';
    if (config.shared)
        for (u32 none = 0; !__atomic_compare_exchange_n(&shared->lock, &none, self->id + 1, 0,
                                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
             none = 0)
            __builtin_ia32_pause();
    const char *from = line;
    u64 left = line_size;
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(left) : "d"((unsigned short)self->port) : "memory");
    if (config.shared)
        __atomic_store_n(&shared->lock, 0, __ATOMIC_RELEASE);
}

/* Says why there will be no tick, and ends. A refusal before the block is mapped has no port. */
static void refuse(u32 code)
{
    static struct state none = {.port = PORT};
    if (!self)
        self = &none;
    line_begin('B');
    field(code);
    line_print();
    self->stage = HALTED;
    for (;;)
        rest(1000000000);
}

/* --- what the kernel says about itself --------------------------------------------------------- */

/* The lines of a file of /proc, one at a time. */
struct reader {
    int file;
    u32 at, size;
    char buffer[2048], text[160];
};
static struct reader reader;

static void proc_open(const char *name)
{
    reader.file = (int)call(SYS_open, name, 0, 0, 0);
    reader.at = reader.size = 0;
}

static int proc_line(void)
{
    u32 length = 0;
    for (;;) {
        if (reader.at == reader.size) {
            long had = reader.file < 0
                           ? 0
                           : call(SYS_read, reader.file, reader.buffer, sizeof reader.buffer, 0);
            if (had <= 0)
                break;
            reader.at = 0;
            reader.size = (u32)had;
        }
        char next = reader.buffer[reader.at++];
        if (next == '\n') {
            reader.text[length] = 0;
            return 1;
        }
        if (length < sizeof reader.text - 1)
            reader.text[length++] = next;
    }
    if (reader.file >= 0)
        call(SYS_close, reader.file, 0, 0, 0);
    reader.file = -1;
    return 0;
}

/* The rest of a text that begins with certain words, blanks in front of it aside; or 0. */
static const char *after(const char *text, const char *words)
{
    while (*text == ' ')
        text++;
    while (*words)
        if (*text++ != *words++)
            return 0;
    return text;
}

static u64 number(const char **text)
{
    u64 value = 0;
    while (**text == ' ')
        (*text)++;
    while (**text >= '0' && **text <= '9')
        value = value * 10 + (u64)(*(*text)++ - '0');
    return value;
}

/* This vCPU's column of /proc/interrupts. */
struct interrupts {
    u64 timer, nmis, swallowed;
};

static struct interrupts interrupts_read(void)
{
    struct interrupts found = {0, 0, 0};
    proc_open("/proc/interrupts");
    while (proc_line()) {
        const char *columns;
        u64 *to = &found.timer, value = 0;
        columns = after(reader.text, "LOC:");
        if (!columns && (columns = after(reader.text, "NMI:")))
            to = &found.nmis;
        if (!columns && (columns = after(reader.text, "PIW:")))
            to = &found.swallowed;
        if (!columns && (columns = after(reader.text, "SPU:")))
            to = &found.swallowed;
        if (!columns)
            continue;
        for (u32 column = 0; column <= self->id; column++)
            value = number(&columns);
        *to += value;
    }
    return found;
}

/* The time, and the time for which this vCPU's timer is armed, as /proc/timer_list has them. */
struct timer_list {
    u64 now, next_event;
};

static struct timer_list timer_list_read(void)
{
    struct timer_list found = {0, 0};
    int ours = 0;
    proc_open("/proc/timer_list");
    while (proc_line()) {
        const char *rest_of_line;
        if ((rest_of_line = after(reader.text, "now at ")))
            found.now = number(&rest_of_line);
        else if ((rest_of_line = after(reader.text, "Per CPU device:")))
            ours = number(&rest_of_line) == self->id;
        else if (after(reader.text, "Broadcast device"))
            ours = 0;
        else if (ours && (rest_of_line = after(reader.text, "next_event:")))
            found.next_event = number(&rest_of_line);
    }
    return found;
}

/* --- ticks ------------------------------------------------------------------------------------- */

/* One tick of the kernel on this vCPU. */
static void on_alarm(int signal)
{
    (void)signal;
    if (++kernel_ticks % kernel_ticks_per_tick)
        return;
    tick_tsc = rdtsc();
    self->ticks++;
}

static u64 turn_began;

static void turn_begins(void)
{
    turn_began = rdtsc();
    self->turn = (u32)(turn_began >> 10);
}

/* A turn ends at a time in units of 1024 cycles. A long one is time that the vCPU did not run. */
static inline void turn_ends(u32 now)
{
    u32 length = now - self->turn;
    self->turn = now;
    if (length <= self->turn_limit)
        return;
    self->last_end = now;
    if (length >> 31)
        length = 0xffffffff; /* the TSC went back: no length says so */
    else
        self->stolen += length;
    if (length > self->longest) {
        self->longest = length;
        self->longest_end = now;
    }
}

static void tick_line(u64 tsc)
{
    line_begin('T');
    field(self->printed);
    field(self->tick_spins);
    field64(tsc);
    field(self->print_tsc);
    field(self->arms);
    if (self->longest) {
        field(self->stolen);
        field(self->longest);
        field(self->turn - self->longest_end);
        field(self->turn - self->last_end);
        self->stolen = self->longest = 0;
    }
    if (!self->mute)
        line_print();
    u64 printing = rdtsc() - tsc;
    self->print_tsc = printing >> 32 ? 0xffffffff : (u32)printing;
}

/* The loop has seen that the guest ticked. */
static void tick(void)
{
    self->printing = 1;
    u64 tsc = tick_tsc;
    if (tsc >= turn_began) /* else it came while something else than a turn was done */
        turn_ends((u32)(tsc >> 10));
    self->tick_spins = self->spins;
    if (self->spins > self->spins_most)
        self->spins_most = self->spins;
    self->spins = 0;
    self->nmis = 0;
    self->printed = self->ticks;
    self->arms = self->ticks + 1; /* the kernel arms its timer in each tick, before user mode */
    self->tick_tsc[0] = (u32)tsc;
    self->tick_tsc[1] = (u32)(tsc >> 32);
    tick_before = tsc;
    tick_line(tsc);
    turn_begins();
    self->printing = 0;
}

static void fault(void)
{
    if (config.fault == FAULT_LVTT_MASKED)
        apic_write(APIC_LVTT, lvtt | LVT_MASKED);
    if (config.fault == FAULT_TIMER_STOPPED)
        apic_write(APIC_TMICT, 0);
    if (config.fault == FAULT_MUTE)
        self->mute = 1;
}

/* The built-in control: the interrupt of the armed timer goes to a vector that only ends it. */
static void control_begins(void)
{
    self->stage = CONTROL;
    self->window = self->spins_most * config.window;
    self->swallowed = 0;
    nmis_known = interrupts_read().swallowed; /* until the window ends */
    apic_write(APIC_LVTT, (lvtt & ~0xffU) | VEC_SWALLOW);
    line_begin('C');
    field(self->printed);
    field(self->window);
    line_print();
    turn_begins();
}

static void control_ends(void)
{
    apic_write(APIC_LVTT, lvtt);
    self->stage = SILENT;
    /* Whether, not how often: a load in the window can bring an interrupt that had come before. */
    self->swallowed = interrupts_read().swallowed != nmis_known;
    turn_begins();
}

/* --- testimony --------------------------------------------------------------------------------- */

static u32 vector_elsewhere(u32 offset)
{
    for (int word = 7; word >= 0; word--) {
        u32 bits = word == VEC_TICK / 32 ? 0 : apic_read(offset + 0x10 * (u32)word);
        if (bits)
            return 32 * (u32)word + 31 - (u32)__builtin_clz(bits);
    }
    return 0;
}

static u64 flags(void)
{
    u64 value;
    __asm__ volatile("pushfq; pop %0" : "=r"(value));
    return value;
}

static void testify(void)
{
    u32 near = 0x10 * (VEC_TICK / 32);
    line_begin('N');
    field(self->nmis);
    field(apic_read(APIC_LVTT));
    field(apic_read(APIC_TMICT));
    field(apic_read(APIC_TMCCT));
    field(apic_read(APIC_IRR + near));
    field(apic_read(APIC_ISR + near));
    field(apic_read(APIC_PPR));
    field(apic_read(APIC_TPR));
    field64(0); /* the deadline's MSR can't be read in user mode */
    field(self->spins);
    field(self->ticks);
    u32 elsewhere = vector_elsewhere(APIC_IRR) << 16 | vector_elsewhere(APIC_ISR);
    struct interrupts counted = interrupts_read();
    struct timer_list list = timer_list_read();
    /* The kernel waits for an event unless the next one is at the end of all time. */
    field(self->ticks + (list.next_event && list.next_event >> 62 == 0));
    field((u32)flags() & 0xffff);
    field(0x33); /* CS of user mode: this process runs */
    field(0);
    field(elsewhere);
    field((u32)counted.timer);
    field64(list.now);
    field64(list.next_event);
    line_print();
}

/* The interrupt comes at once, and the tick with it: nobody waits for the rest of a period. */
static void rearm(void)
{
    kernel_ticks = kernel_ticks / kernel_ticks_per_tick * kernel_ticks_per_tick - 1;
    if (config.mode == DEADLINE) { /* the kernel's own handler arms it */
        apic_write(APIC_ICR + 0x10, 0);
        apic_write(APIC_ICR, ICR_SELF | VEC_TICK);
        return;
    }
    apic_write(APIC_TMICT, 1000);
}

/*
 * A guest that has not ticked for some periods looks for NMIs. The kernel only counts them (and
 * QEMU sends none on its own); the first two make it testify, the third also makes it re-arm.
 */
static void silent(int begins)
{
    u64 nmis = interrupts_read().nmis;
    if (begins) {
        nmis_known = nmis;
    } else if (nmis != nmis_known) {
        nmis_known = nmis;
        self->nmis++;
        testify();
        if (self->nmis == 3)
            rearm();
    }
    turn_begins();
}

/* --- the loop ---------------------------------------------------------------------------------- */

#define SILENT_PERIODS 3

static void tick_busily(void)
{
    u32 polled = 0, quiet = 0;
    for (;;) {
        self->spins++;
        u64 now = rdtsc();
        if (self->ticks != self->printed) {
            tick();
            polled = 0;
            if (self->stage != TICKING)
                self->stage = TICKING;
            if (self->printed == config.fault_tick)
                fault();
            if (config.control && self->printed == config.control)
                control_begins();
            continue;
        }
        turn_ends((u32)(now >> 10));
        if (self->window) {
            if (!--self->window)
                control_ends();
            continue;
        }
        quiet = self->spins_most;
        if (self->spins > SILENT_PERIODS * quiet && self->spins - polled > quiet / 8 && quiet) {
            silent(!polled);
            polled = self->spins;
        }
    }
}

/* Sleeps between ticks, which come from a timer of the kernel's. Nothing here runs unless one does. */
static void tick_asleep(void)
{
    u64 alarm = 1UL << (SIGALRM - 1);
    call(SYS_rt_sigprocmask, 0, &alarm, 0, sizeof alarm);
    for (;;) {
        if (call(SYS_rt_sigtimedwait, &alarm, 0, 0, sizeof alarm) != SIGALRM)
            continue;
        turn_begins();
        tick_tsc = rdtsc();
        self->ticks++;
        tick();
        if (self->printed == config.fault_tick)
            fault();
    }
}

/* --- the start --------------------------------------------------------------------------------- */

static const char *record_of(char **environment)
{
    for (; *environment; environment++) {
        const char *value = after(*environment, "losttick=");
        if (value)
            return value;
    }
    return 0;
}

static void config_read(const char *record)
{
    if (!record)
        refuse(NO_CONFIG);
    record = after(record, "LTK1");
    if (!record)
        refuse(BAD_MAGIC);
    u32 *to = &config.mode;
    for (u32 at = 0; at < 8 * FIELDS; at++) {
        char digit = record[at];
        if (!digit)
            refuse(BAD_SIZE);
        u32 value = digit >= 'a' ? (u32)(digit - 'a') + 10 : (u32)(digit - '0');
        if (value > 15)
            refuse(BAD_DIGIT);
        to[at / 8] = to[at / 8] << 4 | value;
    }
    if (record[8 * FIELDS])
        refuse(BAD_SIZE);
    if (config.mode >= MODES)
        refuse(BAD_MODE);
    if (config.wait >= WAITS || config.state)
        refuse(BAD_WAIT);
    if (!config.vcpus || config.vcpus > VCPUS_MAX)
        refuse(TOO_MANY_VCPUS);
}

static u8 *map(int file, u64 address, u64 size)
{
    long at = call6(SYS_mmap, 0, size, PROT_RW, MAP_SHARED, (u64)file, address);
    return at < 0 && at > -4096 ? 0 : (u8 *)at;
}

/* Free memory that nobody wrote keeps a save small: QEMU saves no page of zeros. */
static void scrub(void)
{
    u64 info[16] = {0}; /* struct sysinfo: uptime, 3 loads, total and free memory, ... */
    call(SYS_sysinfo, info, 0, 0, 0);
    u64 size = info[5] / 100 * 88 & ~4095UL;
    long at = call6(SYS_mmap, 0, size, PROT_RW, MAP_PRIVATE_POPULATED, (u64)-1, 0);
    if (at > 0)
        call(SYS_munmap, at, size, 0, 0);
}

/* TSC and clock at one moment: the pair of several whose TSC is known best. */
static void moment(u64 *tsc, u64 *ns)
{
    u64 best = ~0UL;
    for (int attempt = 0; attempt < 16; attempt++) {
        u64 before = rdtsc(), at = clock_ns(CLOCK_MONOTONIC), later = rdtsc();
        if (later - before < best) {
            best = later - before;
            *tsc = before + best / 2;
            *ns = at;
        }
    }
}

static void cycles_measure(void)
{
    u64 tsc, ns, tsc_then, ns_then;
    moment(&tsc, &ns);
    do
        moment(&tsc_then, &ns_then);
    while (ns_then - ns < 40000000);
    u64 high, low;
    __asm__("mulq %3" : "=d"(high), "=a"(low) : "a"(tsc_then - tsc), "r"((u64)config.period));
    __asm__("divq %2" : "+a"(low), "+d"(high) : "r"(ns_then - ns));
    period_cycles = low;
    self->cycles = (u32)period_cycles;
    self->turn_limit = (u32)(period_cycles / 50 >> 10);
}

/* Waits until the kernel uses the LAPIC's timer in the wanted mode: high resolution starts late. */
static void mode_wait(void)
{
    for (int attempt = 0;; attempt++) {
        lvtt = apic_read(APIC_LVTT);
        if ((lvtt >> 17 & 3) == config.mode && !(lvtt & LVT_MASKED))
            break;
        if (attempt == 3000)
            refuse(NOT_IN_MODE);
        rest(1000000);
    }
    if ((lvtt & 0xff) != VEC_TICK)
        refuse(OTHER_VECTOR);
}

static void kernel_tick_find(void)
{
    u64 resolution[2] = {0, 0};
    call(SYS_clock_getres, CLOCK_MONOTONIC_COARSE, resolution, 0, 0);
    u64 tick_ns = resolution[1];
    if (!tick_ns)
        refuse(BAD_PERIOD);
    kernel_ticks_per_tick = (u32)((config.period + tick_ns / 2) / tick_ns);
    u64 whole = kernel_ticks_per_tick * tick_ns;
    u64 off = whole > config.period ? whole - config.period : config.period - whole;
    if (!kernel_ticks_per_tick || off > config.period / 1000)
        refuse(BAD_PERIOD);
}

void restore(void);
__asm__(".globl restore\nrestore: mov $15, %eax\n syscall\n");

static void timer_begin(void)
{
    int asleep = config.wait == HALT && !config.control;
    struct {
        void (*handler)(int);
        u64 flags;
        void (*restorer)(void);
        u64 mask;
    } action = {on_alarm, SA_RESTORER | SA_RESTART | SA_NODEFER, restore, 0};
    u64 every_ns = asleep ? config.period : 1000000, id = 0;
    u64 event[8] = {0, SIGALRM, 0}; /* struct sigevent: value, signal and SIGEV_SIGNAL */
    u64 times[4] = {every_ns / 1000000000, every_ns % 1000000000,
                    every_ns / 1000000000, every_ns % 1000000000};
    int clock = asleep ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID;
    if (!asleep)
        call(SYS_rt_sigaction, SIGALRM, &action, 0, sizeof action.mask);
    if (call(SYS_timer_create, clock, event, &id, 0) < 0 ||
        call(SYS_timer_settime, id & 0xffffffff, 0, times, 0) < 0)
        refuse(NO_TIMER);
    turn_begins();
    self->stage = TICKING;
    if (asleep)
        tick_asleep();
    tick_busily();
}

static void vcpu_begin(u8 *blocks, u32 id)
{
    u64 cpu = 1UL << id;
    self = (volatile struct state *)(blocks + id * STRIDE);
    for (u32 word = 0; word < sizeof *self / 4; word++)
        ((volatile u32 *)self)[word] = 0;
    self->id = id;
    self->port = PORT + (config.shared ? 0 : id);
    if (call(SYS_sched_setaffinity, 0, sizeof cpu, &cpu, 0) < 0)
        refuse(VCPUS_MISSING);
    if (id != config.subject)
        config.control = config.fault_tick = 0;
    mode_wait();
    cycles_measure();
    self->magic = MAGIC;
}

/* Interrupts in /proc/interrupts of a vCPU without a row would make each testimony untrue. */
static void proc_check(void)
{
    if (!interrupts_read().timer || !timer_list_read().next_event)
        refuse(NO_PROC);
}

__attribute__((used)) static void begin(u64 *stack)
{
    u64 count = stack[0];
    call(SYS_iopl, 3, 0, 0, 0);
    call6(SYS_mount, (u64)"proc", (u64)"/proc", (u64)"proc", 0, 0, 0);
    config_read(record_of((char **)(stack + count + 2)));
    int memory = (int)call(SYS_open, "/dev/mem", O_RDWR | O_SYNC, 0, 0);
    u8 *blocks = map(memory, BLOCKS, VCPUS_MAX * STRIDE - 0x1000);
    lapic = map(memory, LAPIC, 0x1000);
    if (memory < 0 || !blocks || !lapic)
        refuse(NO_DEV_MEM);
    shared = (volatile struct shared *)(blocks + SHARED - BLOCKS);
    shared->online = shared->go = shared->lock = 0;
    kernel_tick_find();
    scrub();
    for (u32 id = 1; id < config.vcpus; id++)
        if (call6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0) == 0) {
            vcpu_begin(blocks, id);
            proc_check();
            __atomic_fetch_add(&shared->online, 1, __ATOMIC_ACQ_REL);
            while (!__atomic_load_n(&shared->go, __ATOMIC_ACQUIRE))
                __builtin_ia32_pause();
            timer_begin();
        }
    u32 subject = config.control, faulty = config.fault_tick;
    vcpu_begin(blocks, 0);
    proc_check();
    for (int attempt = 0; shared->online != config.vcpus - 1; attempt++) {
        if (attempt == 10000)
            refuse(VCPUS_MISSING);
        rest(1000000);
    }
    u32 said_control = config.control, said_fault = config.fault_tick;
    config.control = subject;
    config.fault_tick = faulty;
    line_begin('R');
    for (u32 at = 0; at < FIELDS; at++)
        field((&config.mode)[at]);
    field(self->cycles);
    line_print();
    config.control = said_control;
    config.fault_tick = said_fault;
    __atomic_store_n(&shared->go, 1, __ATOMIC_RELEASE);
    timer_begin();
}

__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
