/* The lab's agent: runs QEMU and other programs inside the lab for a harness outside of it.
 *
 *   agent TTY
 *
 * One serial line carries everything, in frames, so that what QEMU did in order also
 * arrives in order: a console line that was printed before a monitor command was
 * answered comes before the answer. Each frame to the harness says when, by the lab's
 * own clock.
 *
 * A frame is: kind, QEMU's number, length of the payload (16 bits), CLOCK_MONOTONIC in
 * ns (64 bits; 0 from the harness), payload, CRC-32 of all that; little endian.
 *
 * From the harness        payload                 answer
 *   M make QEMU's folder                          r
 *   L copy a file there   NAME\0SOURCE            r
 *   W append to a file    NAME\0BYTES             r
 *   S start QEMU          ARGV, each with a \0    r: its pid
 *   Q for its monitor     bytes                   none
 *   R read a file         PATH                    d: parts of it, then r
 *   D list a folder       PATH                    d: names, each with a \n, then r
 *   P pin a thread        TID CPU                 r
 *   U unload a module     NAME                    r
 *   I load a module       PATH\0OPTIONS           r
 *   T trace QEMU's threads  TIDS\0EVENT\0...       none; before S, without TIDS: from its start
 *   A add to the trace    a marker's text         none
 *   V view the trace                              d: parts of it, then r
 *   K kill QEMU                                   r; then x, when it has ended
 * Answers come in the order of the requests. r begins with errno in decimal; what
 * follows a space is the value.
 *
 * To the harness, unasked
 *   h hello
 *   q from QEMU's monitor
 *   o from its guest's console
 *   e from its standard error
 *   x it has ended: its exit code, or minus the signal
 *   t a sign of life
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define QEMUS 4
#define PAYLOAD 4096
#define HEADER 12
#define ROOM (HEADER + 65536 + 4)
#define LINE_NS 20000000ull    /* how long a console line may stay half sent */
#define GATHER_NS 4000000ull   /* between two looks for the rest of it */
#define LIFE_NS 25000000ull    /* between two signs of life: the harness sets its clock by them */
#define CONSOLE_ROOM (1 << 20)
#define TRACING "/sys/kernel/tracing"
#define TRACE_KB "512"
#define LOAD_MARK "losttick: load"
#define TRACE_VCPUS 64

struct qemu {
    pid_t pid;
    int qmp, console, error;
    char line[PAYLOAD];
    size_t line_bytes;
    uint64_t line_ns, look_ns;
    int marker;          /* of its trace instance; -1 without one */
    char events[1024];   /* what the trace records */
};

static int tty;
static struct qemu qemus[QEMUS];
static char wanted[QEMUS][1024];  /* events to record, each with a \0, and one more */
static volatile sig_atomic_t child_ended;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint32_t crc_table[256];

static uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t size)
{
    crc = ~crc;
    while (size--)
        crc = crc_table[(crc ^ *bytes++) & 0xff] ^ (crc >> 8);
    return ~crc;
}

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? 0xedb88320 ^ (c >> 1) : c >> 1;
        crc_table[i] = c;
    }
}

static void write_all(int fd, const void *bytes, size_t size)
{
    while (size) {
        ssize_t done = write(fd, bytes, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;  /* QEMU has hung up: its end will be told */
        bytes = (const char *)bytes + done;
        size -= done;
    }
}

static void put(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = value >> (8 * i);
}

static void send_frame(char kind, int number, const void *payload, size_t size)
{
    uint8_t frame[HEADER + PAYLOAD + 4] = {kind, number};
    put(frame + 2, size, 2);
    put(frame + 4, now_ns(), 8);
    memcpy(frame + HEADER, payload, size);
    put(frame + HEADER + size, crc32(0, frame, HEADER + size), 4);
    write_all(tty, frame, HEADER + size + 4);
}

static void answer(int number, int error, const char *format, ...)
{
    char text[64];
    int size = snprintf(text, sizeof text, "%d ", error);
    va_list values;
    va_start(values, format);
    size += vsnprintf(text + size, sizeof text - size, format, values);
    va_end(values);
    send_frame('r', number, text, size);
}

static void flush_line(int number)
{
    struct qemu *q = &qemus[number];
    if (q->line_bytes)
        send_frame('o', number, q->line, q->line_bytes);
    q->line_bytes = 0;
}

/* QEMU writes single bytes: they are sent as lines. To be woken by each would cost the lab
 * more than to print it: the rest of a line is looked for now and then. */
static void take_console(int number)
{
    struct qemu *q = &qemus[number];
    q->look_ns = now_ns() + GATHER_NS;
    for (;;) {
        ssize_t got = read(q->console, q->line + q->line_bytes, sizeof q->line - q->line_bytes);
        if (got <= 0) {
            if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
                close(q->console);
                q->console = -1;
            }
            return;
        }
        if (!q->line_bytes)
            q->line_ns = now_ns();
        q->line_bytes += got;
        if (q->line[q->line_bytes - 1] == '\n' || q->line_bytes == sizeof q->line)
            flush_line(number);
    }
}

static void take_stream(int number, int *fd, char kind)
{
    char bytes[PAYLOAD];
    ssize_t got = read(*fd, bytes, sizeof bytes);
    if (got > 0) {
        send_frame(kind, number, bytes, got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close(*fd);
        *fd = -1;
    }
}

/* What was printed before the monitor answered is told first. */
static void take_monitor(int number)
{
    if (qemus[number].console >= 0)
        take_console(number);
    flush_line(number);
    take_stream(number, &qemus[number].qmp, 'q');
}

static void path_in(char *path, size_t room, int number, const char *name)
{
    if (*name == '/')
        snprintf(path, room, "%s", name);
    else
        snprintf(path, room, "/run/qemu%d/%s", number, name);
}

static void do_read(int number, const char *name)
{
    char path[512], part[PAYLOAD];
    path_in(path, sizeof path, number, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 0;
    while (fd >= 0 && (got = read(fd, part, sizeof part)) > 0)
        send_frame('d', number, part, got);
    answer(number, got < 0 ? errno : 0, "");
    if (fd >= 0)
        close(fd);
}

static void do_list(int number, const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        answer(number, errno, "");
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[sizeof entry->d_name + 1];
        send_frame('d', number, name, snprintf(name, sizeof name, "%s\n", entry->d_name));
    }
    closedir(folder);
    answer(number, 0, "");
}

static int append(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    errno = 0;
    write_all(fd, bytes, size);
    int error = errno;
    close(fd);
    return error;
}

static int copy(const char *source, const char *path)
{
    static char part[65536];
    int fd = open(source, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = 0;
    ssize_t got;
    while (!error && (got = read(fd, part, sizeof part)) > 0)
        error = append(path, part, got);
    close(fd);
    return error;
}

static int put_text(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t done = write(fd, text, strlen(text));
    int error = done < 0 ? errno : 0;
    close(fd);
    return error;
}

static void trace_folder(char *path, size_t room, int number)
{
    snprintf(path, room, TRACING "/instances/qemu%d", number);
}

/* Record threads in QEMU's own trace instance. A kernel without tracefs, or without an event,
 * records less: the view says which events were recorded. */
static void record(int number, const char *threads)
{
    char folder[64], path[256];
    struct qemu *q = &qemus[number];
    trace_folder(folder, sizeof folder, number);
    if (q->marker < 0) {
        if (mkdir(folder, 0700) && errno != EEXIST)
            return;
        put_text(folder, "buffer_size_kb", TRACE_KB);
        put_text(folder, "options/event-fork", "1");
        snprintf(path, sizeof path, "%s/trace_marker", folder);
        q->marker = open(path, O_WRONLY | O_CLOEXEC);
    }
    if (q->marker < 0 || put_text(folder, "set_event_pid", threads) || *q->events)
        return;
    for (char *event = wanted[number]; *event; event += strlen(event) + 1) {
        snprintf(path, sizeof path, "events/%s/enable", event);
        if (!put_text(folder, path, "1") &&
            strlen(q->events) + strlen(event) + 2 < sizeof q->events)
            strcat(strcat(q->events, " "), event);
    }
}

static void do_trace(int number, const char *threads, size_t size)
{
    size_t names = size - strnlen(threads, size);
    if (names && names < sizeof wanted[number]) {
        memset(wanted[number], 0, sizeof wanted[number]);
        memcpy(wanted[number], threads + size - names + 1, names - 1);
    }
    if (*threads)
        record(number, threads);
}

static void end_trace(int number)
{
    char folder[64];
    struct qemu *q = &qemus[number];
    if (q->marker >= 0)
        close(q->marker);
    q->marker = -1;
    q->events[0] = 0;
    memset(wanted[number], 0, sizeof wanted[number]);
    trace_folder(folder, sizeof folder, number);
    rmdir(folder);
}

static char *whole_file(const char *path)
{
    size_t room = 1 << 20, filled = 0;
    char *text = malloc(room);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 0;
    while (fd >= 0 && text && (got = read(fd, text + filled, room - filled - 1)) > 0)
        if ((filled += got) == room - 1)
            text = realloc(text, room *= 2);
    if (fd < 0 || got < 0 || !text) {
        int error = errno;
        free(text);
        text = NULL;
        errno = error;
    } else {
        text[filled] = 0;
    }
    if (fd >= 0)
        close(fd);
    return text;
}

/* The trace from the last load on, as far as its marker was not overwritten. A vCPU enters the
 * guest again and again: of entries with nothing between them, the first is sent. */
static void do_view(int number)
{
    char path[128], part[PAYLOAD];
    uint64_t entered = 0;
    size_t filled = snprintf(part, sizeof part, "# events:%s\n", qemus[number].events);
    trace_folder(path, sizeof path - 8, number);
    strcat(path, "/trace");
    char *text = whole_file(path), *line = text, *last = NULL;
    if (!text) {
        answer(number, errno, "");
        return;
    }
    for (char *at = text; (at = strstr(at, LOAD_MARK)); at++)
        last = at;
    if (last)
        for (line = last; line > text && line[-1] != '\n'; line--)
            ;
    while (*line) {
        char *end = strchrnul(line, '\n');
        size_t size = end - line + (*end == '\n');
        char *entry = memmem(line, size, " kvm_entry: vcpu ", 17);
        unsigned vcpu = entry ? strtoul(entry + 17, NULL, 10) % TRACE_VCPUS : 0;
        if (!entry)
            entered = 0;
        if (!(entry && entered >> vcpu & 1) && size < sizeof part) {
            if (filled + size > sizeof part) {
                send_frame('d', number, part, filled);
                filled = 0;
            }
            memcpy(part + filled, line, size);
            filled += size;
        }
        if (entry)
            entered |= 1ull << vcpu;
        line += size;
    }
    send_frame('d', number, part, filled);
    answer(number, 0, "");
    free(text);
}

static void do_start(int number, char *arguments, size_t size)
{
    char *argv[128];
    int argc = 0;
    for (char *at = arguments; at < arguments + size && argc < 127; at += strlen(at) + 1)
        argv[argc++] = at;
    argv[argc] = NULL;
    int qmp[2], console[2], error[2];
    /* QEMU writes its console byte by byte: a pipe takes a byte by fewer instructions than a
     * socket does. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp) ||
        pipe2(console, O_CLOEXEC) || pipe2(error, O_CLOEXEC)) {
        answer(number, errno, "");
        return;
    }
    fcntl(console[1], F_SETPIPE_SZ, CONSOLE_ROOM);
    int go[2];  /* its end tells the child that its recording has begun */
    if (pipe2(go, O_CLOEXEC)) {
        answer(number, errno, "");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        char folder[64], none;
        close(go[1]);
        while (read(go[0], &none, 1) < 0 && errno == EINTR)
            ;
        path_in(folder, sizeof folder, number, "");
        if (chdir(folder) == 0) {
            /* Out of the way of 3 and 4 first, where any of them may lie. */
            int q = fcntl(qmp[1], F_DUPFD, 32), c = fcntl(console[1], F_DUPFD, 32);
            dup2(error[1], 1);
            dup2(error[1], 2);
            dup2(q, 3);
            dup2(c, 4);
            close(q);
            close(c);
            signal(SIGCHLD, SIG_DFL);
            execv(argv[0], argv);
        }
        dprintf(2, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(qmp[1]);
    close(console[1]);
    close(error[1]);
    struct qemu *q = &qemus[number];
    *q = (struct qemu){.pid = pid, .qmp = qmp[0], .console = console[0], .error = error[0],
                       .marker = -1};
    if (*wanted[number] && pid > 0) {
        char text[16];
        snprintf(text, sizeof text, "%d", pid);
        record(number, text);
        if (q->marker >= 0)
            write_all(q->marker, LOAD_MARK, strlen(LOAD_MARK));
        memset(wanted[number], 0, sizeof wanted[number]);
    }
    close(go[0]);
    close(go[1]);
    fcntl(q->console, F_SETFL, O_NONBLOCK);
    answer(number, pid < 0 ? errno : 0, "%d", pid);
}

static void obey(char kind, int number, char *payload, size_t size)
{
    char path[512];
    struct qemu *q = &qemus[number];
    size_t name = strnlen(payload, size);
    char *rest = payload + name + 1;
    payload[size] = 0;
    switch (kind) {
    case 'M':
        path_in(path, sizeof path, number, "");
        mkdir("/run", 0755);
        answer(number, mkdir(path, 0700) && errno != EEXIST ? errno : 0, "");
        break;
    case 'L':
        path_in(path, sizeof path, number, payload);
        unlink(path);
        answer(number, copy(rest, path), "");
        break;
    case 'W':
        path_in(path, sizeof path, number, payload);
        answer(number, append(path, rest, payload + size - rest), "");
        break;
    case 'S':
        do_start(number, payload, size);
        break;
    case 'Q':
        if (q->qmp >= 0)
            write_all(q->qmp, payload, size);
        break;
    case 'R':
        do_read(number, payload);
        break;
    case 'D':
        do_list(number, payload);
        break;
    case 'P': {
        int tid = 0, cpu = 0;
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        if (sscanf(payload, "%d %d", &tid, &cpu) == 2)
            CPU_SET(cpu, &cpus);
        answer(number, sched_setaffinity(tid, sizeof cpus, &cpus) ? errno : 0, "");
        break;
    }
    case 'U':
        answer(number, syscall(SYS_delete_module, payload, O_NONBLOCK) ? errno : 0, "");
        break;
    case 'I': {
        int fd = open(payload, O_RDONLY | O_CLOEXEC);
        int failed = fd < 0 || syscall(SYS_finit_module, fd, name < size ? rest : "", 0);
        answer(number, failed ? errno : 0, "");
        if (fd >= 0)
            close(fd);
        break;
    }
    case 'T':
        do_trace(number, payload, size);
        break;
    case 'A':
        if (q->marker >= 0)
            write_all(q->marker, payload, size);
        break;
    case 'V':
        do_view(number);
        break;
    case 'K':
        if (q->pid > 0)
            kill(q->pid, SIGKILL);
        answer(number, q->pid > 0 ? 0 : ESRCH, "");
        break;
    }
}

/* Take what the harness sends; 0 when a frame is broken, and nothing more can be trusted. */
static int take_orders(void)
{
    static uint8_t buffer[ROOM + 1];
    static size_t filled;
    ssize_t got = read(tty, buffer + filled, ROOM - filled);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    filled += got;
    while (filled >= HEADER) {
        size_t size = buffer[2] | buffer[3] << 8;
        size_t whole = HEADER + size + 4;
        if (filled < whole)
            break;
        uint8_t *sum = buffer + HEADER + size;
        uint32_t crc = sum[0] | sum[1] << 8 | sum[2] << 16 | (uint32_t)sum[3] << 24;
        if (crc != crc32(0, buffer, HEADER + size) || buffer[1] >= QEMUS)
            return 0;
        obey(buffer[0], buffer[1], (char *)buffer + HEADER, size);
        filled -= whole;
        memmove(buffer, buffer + whole, filled);
    }
    return 1;
}

static void empty_folder(int number)
{
    char path[512];
    path_in(path, sizeof path, number, "");
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
}

static void bury(void)
{
    int status;
    pid_t pid;
    child_ended = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < QEMUS; i++) {
            struct qemu *q = &qemus[i];
            if (q->pid != pid)
                continue;
            if (q->console >= 0)
                take_console(i);
            flush_line(i);
            while (q->qmp >= 0)
                take_stream(i, &q->qmp, 'q');
            while (q->error >= 0)
                take_stream(i, &q->error, 'e');
            if (q->console >= 0)
                close(q->console);
            char text[16];
            int code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
            send_frame('x', i, text, snprintf(text, sizeof text, "%d", code));
            empty_folder(i);
            end_trace(i);
            *q = (struct qemu){.qmp = -1, .console = -1, .error = -1, .marker = -1};
        }
}

static void note_child(int signal)
{
    (void)signal;
    child_ended = 1;
}

/* An emulator runs ahead of the clock on the wall while its machine idles. This keeps
 * it from idling, and leaves the CPU to whoever else wants it. */
static void keep_busy(void)
{
    if (fork())
        return;
    struct sched_param none = {0};
    sched_setscheduler(0, SCHED_IDLE, &none);
    for (;;)
        __asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv)
{
    if (argc != 2 || (tty = open(argv[1], O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        perror("agent");
        return 2;
    }
    struct termios line;
    tcgetattr(tty, &line);
    cfmakeraw(&line);
    line.c_cflag = (line.c_cflag | CLOCAL | CREAD) & ~CRTSCTS;
    cfsetspeed(&line, B115200);
    tcsetattr(tty, TCSANOW, &line);
    make_crc_table();
    for (int i = 0; i < QEMUS; i++)
        qemus[i] = (struct qemu){.qmp = -1, .console = -1, .error = -1, .marker = -1};
    signal(SIGPIPE, SIG_IGN);
    keep_busy();
    sigset_t child, usual;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &usual);
    struct sigaction noted = {.sa_handler = note_child};
    sigaction(SIGCHLD, &noted, NULL);
    send_frame('h', 0, "", 0);
    uint64_t life = now_ns();
    for (;;) {
        struct pollfd fds[1 + 3 * QEMUS] = {{.fd = tty, .events = POLLIN}};
        uint64_t wake = life + LIFE_NS, now = now_ns();
        for (int i = 0; i < QEMUS; i++) {
            struct qemu *q = &qemus[i];
            fds[1 + 3 * i] = (struct pollfd){.fd = q->qmp, .events = POLLIN};
            fds[2 + 3 * i] = (struct pollfd){.fd = q->line_bytes ? -1 : q->console,
                                             .events = POLLIN};
            fds[3 + 3 * i] = (struct pollfd){.fd = q->error, .events = POLLIN};
            if (q->line_bytes && q->look_ns < wake)
                wake = q->look_ns;
        }
        uint64_t wait = wake > now ? wake - now : 0;
        struct timespec timeout = {wait / 1000000000, wait % 1000000000};
        int ready = ppoll(fds, 1 + 3 * QEMUS, &timeout, &usual);
        if (child_ended)
            bury();
        now = now_ns();
        if (now >= life + LIFE_NS) {
            send_frame('t', 0, "", 0);
            life = now;
        }
        for (int i = 0; i < QEMUS; i++) {
            struct qemu *q = &qemus[i];
            if (q->line_bytes && now >= q->look_ns && q->console >= 0)
                take_console(i);
            if (q->line_bytes && now >= q->line_ns + LINE_NS)
                flush_line(i);
        }
        if (ready <= 0)
            continue;
        for (int i = 0; i < QEMUS; i++) {
            if (fds[2 + 3 * i].revents && qemus[i].console >= 0)
                take_console(i);
            if (fds[1 + 3 * i].revents && qemus[i].qmp >= 0)
                take_monitor(i);
            if (fds[3 + 3 * i].revents && qemus[i].error >= 0)
                take_stream(i, &qemus[i].error, 'e');
        }
        if (fds[0].revents && !take_orders()) {
            printf("LAB failed the line to the harness: a broken frame\n");
            return 3;
        }
    }
}
