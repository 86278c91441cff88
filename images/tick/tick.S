# The tick guest: a 64 KiB firmware image (QEMU -bios) in 16-bit real mode.
#
# It arms the LAPIC timer, busy-waits, and prints one checksummed line for each
# tick. An NMI makes it testify to what it reads of its own LAPIC. README.md in
# this folder has the lines, the state block and the configuration record.
#
# Each vCPU has its own data and stack, reached by its own DS, ES and SS: addresses
# below are offsets in them. FS is flat on every one, for the LAPIC's page and for the
# few words that all share.
#
# Build with build.sh. Every address is a constant of this file: there is
# nothing left for a linker to choose.

        .code16
        .text
start:

# --- where things are ----------------------------------------------------
        .set SEG, 0xf000                # this image, below 1 MiB
        .set SIPI, 0xf1                 # page at which the other vCPUs start: ap_start
        .set VCPU_SEGS, 0x200           # from one vCPU's segment to the next one's
        .set VCPUS_MAX, 8

        .set VEC_TICK,    0x40
        .set VEC_SWALLOW, 0x41
        .set VEC_SPURIOUS, 0xff

        .set S_MAGIC,     0x1000        # the state block: the harness reads it
        .set S_PRINTING,  0x1004
        .set S_TICKS,     0x1008
        .set S_ARMS,      0x100c
        .set S_SPINS,     0x1010
        .set S_PRINTED,   0x1014
        .set S_NMIS,      0x1018
        .set S_STAGE,     0x101c
        .set S_TICK_SPINS, 0x1020
        .set S_TICK_TSC,  0x1024        # 64 bit
        .set S_PRINT_TSC, 0x102c
        .set S_SWALLOWED, 0x1030
        .set S_STRAYS,    0x1034
        .set S_CYCLES,    0x1038        # TSC cycles a period, measured at boot
        .set S_SPINS_MOST, 0x103c       # spins of the longest period so far
        .set S_WINDOW,    0x1040        # spins left in the control window
        .set S_MUTE,      0x1044
        .set S_ID,        0x1048        # APIC ID
        .set S_PORT,      0x104c        # where its lines go
        .set S_DEADLINE,  0x1050        # 64 bit: the TSC deadline that was written last
        .set S_TURN,      0x1058        # end of the last turn, in units of 1024 TSC cycles
        .set S_STOLEN,    0x105c        # since the last tick, in long turns; such units
        .set S_LONGEST,   0x1060        # the longest of these turns,
        .set S_LONGEST_END, 0x1064      # and its end
        .set S_TURN_LIMIT, 0x1068       # from this length on, a turn is long
        .set S_HOLD,      0x106c        # units left to run until the LAPIC's state is ended
        .set S_HOLD_WHOLE, 0x1070       # units for which it is held
        .set S_HELD,      0x1074        # whether it is held
        .set S_LAST_END,  0x1078        # end of the last long turn
        .set S_KVMCLOCK,  0x107c        # 64 bit: kvmclock at the last tick with a line; 0: none
        .set S_PEER,      0x1084        # address of the next vCPU's S_TURN; 0: no other vCPU
        .set S_AHEAD,     0x1088        # the least by which this TSC was past it; such units
        .set S_SHIFT,     0x108c        # added to each reading of the TSC, for tests
        .set S_SHIFT_UNITS, 0x1090      # the same in units of 1024 TSC cycles
        .set S_CLOCK_SHIFT, 0x1094      # added to each reading of kvmclock, for tests; ns
        .set S_BASE,      0x1098        # of the pvclock data at the last line with kvmclock:
                                        # the low halves of its TSC and of its time
        .set S_STRAY,     0x10a0        # the last vector that was counted in S_STRAYS
        .set S_SPURIOUS,  0x10a4        # interrupts that seemed spurious
        .set S_SIZE,      0xa8

        .set C_MODE,      0x10c0        # the configuration, in record order
        .set C_X2APIC,    0x10c4
        .set C_PERIOD,    0x10c8        # ns, and TMICT as the timer runs at 1 GHz
        .set C_CONTROL,   0x10cc        # tick after which the control starts; 0: none
        .set C_WINDOW,    0x10d0        # periods that the control swallows
        .set C_FAULT,     0x10d4
        .set C_FAULT_TICK, 0x10d8
        .set C_PRINT_DELAY, 0x10dc      # loops before each character
        .set C_VCPUS,     0x10e0
        .set C_SHARED,    0x10e4        # all lines go to the first vCPU's port
        .set C_SUBJECT,   0x10e8        # the vCPU with the control or the fault
        .set C_WAIT,      0x10ec        # 0: busy wait; 1: hlt
        .set C_STATE,     0x10f0        # of the LAPIC between ticks; 0: armed
        .set C_FIELDS,    13

        .set LINE,        0x1100        # the main loop's line
        .set NMI_LINE,    0x1200        # the NMI's own
        .set PVCLOCK,     0x1380        # KVM's pvclock_vcpu_time_info of this vCPU
        .set DIRENT,      0x1400        # fw_cfg directory entry
        .set RECORD,      0x1500
        .set RECORD_SIZE, 4 + 8 * C_FIELDS
        .set STACK,       0x3000

        .set G_ONLINE,    0x0800        # shared: other vCPUs that are ready
        .set G_GO,        0x0804        # they may tick
        .set G_LOCK,      0x0808        # who prints on the shared port: its APIC ID + 1

        .set STAGE_TICKING, 1
        .set STAGE_CONTROL, 2           # inside the control window
        .set STAGE_SILENT,  3           # tick vector back, nothing armed
        .set STAGE_HALTED,  4

        .set MODE_PERIODIC, 1
        .set MODE_DEADLINE, 2
        .set MODE_STIMER,   3           # Hyper-V's synthetic timer 0, in direct mode
        .set MODE_PIT,      4           # from here on: through the PIC, and not the LAPIC
        .set MODE_RTC,      5

        .set STATE_PENDING, 1           # IF clear while the timer expires
        .set STATE_IN_SERVICE, 2        # no EOI
        .set STATE_MASKED,  3           # LVTT masked
        .set STATE_TPR,     4           # TPR above the tick
        .set STATE_LAST,    4
        .set HOLD_FROM,     4           # the tick from which on the state is held
        .set HOLD_LONG,    14           # eighths of a period: the timer expires within it
        .set HOLD_SHORT,    6

        .set FAULT_NO_REARM, 1
        .set FAULT_IF_CLEAR, 2
        .set FAULT_MASKED,   3
        .set FAULT_TRIPLE,   4
        .set FAULT_TPR,      5
        .set FAULT_TMICT,    6
        .set FAULT_MUTE,     7
        .set FAULT_HALT,     8
        .set FAULT_LATE,     9          # the next tick comes after 1.5 periods
        .set FAULT_EARLY,   10          # the next tick comes after 0.5 periods
        .set FAULT_EXTRA,   11          # another tick comes once the line is printed
        .set FAULT_RATE,    12          # from now on the period is 1.5 periods
        .set FAULT_SKEW,    13          # from now on the TSC reads 1/64 period ahead
        .set FAULT_CLOCK,   14          # from now on kvmclock reads CLOCK_JUMP ahead
        .set FAULT_SPURIOUS, 15         # spurious interrupts come once the line is printed
        .set FAULT_STRAY,   16          # VEC_SPURIOUS comes then, and it is not spurious
        .set CLOCK_JUMP, 10000000       # ns

        .set APIC_TPR,  0x080
        .set APIC_PPR,  0x0a0
        .set APIC_EOI,  0x0b0
        .set APIC_SVR,  0x0f0
        .set APIC_ISR,  0x100           # the first of eight registers
        .set APIC_ISR2, 0x120           # vectors 0x40 to 0x5f
        .set APIC_IRR,  0x200
        .set APIC_IRR2, 0x220
        .set APIC_ICR,  0x300
        .set APIC_LVTT, 0x320
        .set APIC_LINT0, 0x350
        .set APIC_LINT1, 0x360
        .set APIC_TMICT, 0x380
        .set APIC_TMCCT, 0x390
        .set APIC_TDCR, 0x3e0
        .set LVT_MASKED, 0x10000
        .set ICR_INIT, 0xc4500          # to all but itself
        .set ICR_SIPI, 0xc4600
        .set ICR_SELF, 0x44000

        .set MSR_APIC_BASE, 0x1b
        .set MSR_DEADLINE,  0x6e0
        .set MSR_REFERENCE, 0x40000020  # Hyper-V's time, in units of 100 ns
        .set MSR_STIMER_CONFIG, 0x400000b0
        .set MSR_STIMER_COUNT,  0x400000b1
        .set HV_FEATURES, 0x40000003    # CPUID leaf
        .set HV_STIMER_DIRECT, 19       # bit of its EDX
        .set UART, 0x3f8
        .set DEBUG_PORT, 0xe900         # plus the APIC ID: a vCPU's own port

        .macro  tsc_read                # to %edx:%eax
        rdtsc
        add     S_SHIFT, %eax
        adc     $0, %edx
        .endm

        .macro  apic_set reg, value
        mov     $\reg, %ecx
        mov     $\value, %eax
        call    apic_write
        .endm

# --- boot ----------------------------------------------------------------
entry:  cli
        cld
        xor     %eax, %eax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $STACK, %sp
        mov     %eax, G_ONLINE
        mov     %eax, G_GO
        mov     %eax, G_LOCK
        call    uart_init
        call    unreal
        call    state_init
        call    ivt_init
        call    config_read
        call    clocks_init
        call    apic_init
        call    others_start
        call    ready_line
        movl    $1, %fs:G_GO

ticking:
        call    turn_begins
        mov     S_ID, %eax
        cmp     C_SUBJECT, %eax
        je      1f
        movl    $0, C_CONTROL
        movl    $0, C_FAULT_TICK
1:      movl    $STAGE_TICKING, S_STAGE
        call    timer_start
        sti

# The busy wait: no hlt, no port and no MMIO access between ticks. A turn that takes
# long is time that the vCPU did not run. The tick's handler ends a turn, too: a turn
# that it interrupts between reading the TSC and noting the value starts again.
wait:   incl    S_SPINS
        mov     S_TICKS, %eax
        cmp     S_PRINTED, %eax
        jne     2f
        cmpl    $0, C_WAIT
        jne     halting
busy:   testb   $PEER_TURNS - 1, S_SPINS
        jz      peer_compare
turn:   rdtsc
turn_read:
        shrd    $10, %edx, %eax
        add     S_SHIFT_UNITS, %eax
        mov     %eax, %ecx
        sub     S_TURN, %ecx
        cmp     S_TURN_LIMIT, %ecx
        ja      1f
        sub     %ecx, S_HOLD            # a long turn is no part of a hold
turn_noted:
        mov     %eax, S_TURN
        jg      wait
        jmp     hold_ends
1:      pushf
        cli
        mov     S_TICKS, %eax
        cmp     S_PRINTED, %eax
        jne     3f                      # a tick has ended this turn
        tsc_read
        call    turn_ends
3:      popf
        jmp     wait
2:      call    tick_line
        cmpl    $0, C_STATE
        jne     hold_begins
        mov     C_CONTROL, %eax
        test    %eax, %eax
        jz      wait
        cmp     S_PRINTED, %eax
        jne     wait
        call    control
        jmp     wait

# A state of the LAPIC in which the guest can be saved: from a tick's line on it is held for
# some of the vCPU's running time, in the busy wait. In service: the tick's handler has left
# out its EOI.
hold_begins:
        cmpl    $HOLD_FROM, S_PRINTED
        jb      wait
        mov     $HOLD_SHORT, %ecx
        mov     C_STATE, %eax
        cmp     $STATE_PENDING, %eax
        je      2f
        cmp     $STATE_TPR, %eax
        jne     3f
2:      mov     $HOLD_LONG, %ecx
3:      mov     S_CYCLES, %eax
        shr     $13, %eax               # an eighth of a period, in units
        mull    %ecx
        mov     %eax, S_HOLD_WHOLE
        mov     %eax, S_HOLD
        movl    $1, S_HELD
        mov     C_STATE, %eax
        cmp     $STATE_PENDING, %eax
        jne     4f
        cli
        jmp     wait
4:      cmp     $STATE_MASKED, %eax
        jne     5f
        mov     $LVT_MASKED + VEC_TICK, %eax
        call    lvtt_write
        jmp     wait
5:      cmp     $STATE_TPR, %eax
        jne     wait
        apic_set APIC_TPR, VEC_TICK + 0x10
        jmp     wait

hold_ends:
        movl    $0x7fffffff, S_HOLD
        cmpl    $0, S_HELD
        je      wait                    # nothing was held
        movl    $0, S_HELD
        mov     C_STATE, %eax
        cmp     $STATE_PENDING, %eax
        jne     1f
        sti
        jmp     wait
1:      cmp     $STATE_IN_SERVICE, %eax
        jne     2f
        call    eoi
        jmp     wait
2:      cmp     $STATE_MASKED, %eax
        jne     3f
        mov     $VEC_TICK, %eax
        call    lvtt_write
        call    timer_start             # it is the tick that was armed before: not counted
        decl    S_ARMS
        jmp     wait
3:      apic_set APIC_TPR, 0
        jmp     wait

# The other way to wait: hlt, whose sleep is no turn. A guest with a control runs busily
# until the control, whose window it counts in spins.
halting:
        mov     S_PRINTED, %eax
        cmp     C_CONTROL, %eax
        jb      busy
        cli
        mov     S_TICKS, %eax
        cmp     S_PRINTED, %eax
        jne     1f
        sti
        hlt                             # an interrupt between sti and hlt ends hlt as well
halted: call    turn_begins
        call    peer_look
1:      sti
        jmp     wait

# turn_ends: a turn ends at the TSC in %edx:%eax. Clobbers %eax and %ecx.
turn_ends:
        shrd    $10, %edx, %eax
        mov     %eax, %ecx
        sub     S_TURN, %ecx
        mov     %eax, S_TURN
        cmp     S_TURN_LIMIT, %ecx
        ja      1f
        ret
1:      mov     %eax, S_LAST_END
        test    %ecx, %ecx
        js      2f
        add     %ecx, S_STOLEN
        cmp     S_LONGEST, %ecx
        ja      3f
        ret
2:      or      $-1, %ecx               # the TSC went back: no length says so
3:      mov     %ecx, S_LONGEST
        mov     %eax, S_LONGEST_END
        ret

# turn_begins: what was done since the last turn is no turn.
turn_begins:
        tsc_read
        shrd    $10, %edx, %eax
        mov     %eax, S_TURN
        ret

# The built-in positive control: the interrupt of the armed timer goes to a
# vector that only sends EOI. Then the tick vector is put back, unarmed.
control:
        mov     S_SPINS_MOST, %eax
        mull    C_WINDOW
        mov     %eax, S_WINDOW
        mov     $VEC_SWALLOW, %eax
        call    lvtt_write
        movl    $STAGE_CONTROL, S_STAGE
        call    control_line
        call    turn_begins
1:      incl    S_SPINS
        tsc_read
        call    turn_ends
        decl    S_WINDOW
        jnz     1b
        mov     $VEC_TICK, %eax
        call    lvtt_write
        movl    $STAGE_SILENT, S_STAGE
        ret

# Another vCPU, from its start by SIPI: DS is 0 then, the first one's.
ap_entry:
        cli
        cld
        xor     %ax, %ax
        mov     %ax, %ds
        mov     $1, %eax
        cpuid
        shr     $24, %ebx               # its initial APIC ID
        cmp     C_VCPUS, %ebx
        jae     1f                      # one more than the configuration names
        imul    $VCPU_SEGS, %bx, %ax
        mov     %ax, %es
        mov     %ax, %ss
        mov     $STACK, %sp
        mov     $C_MODE, %si
        mov     $C_MODE, %di
        mov     $2 * C_FIELDS, %cx
        rep movsw
        mov     %ax, %ds
        push    %ebx
        call    unreal
        call    state_init
        pop     %ebx
        mov     %ebx, S_ID
        call    clocks_init
        mov     S_ID, %ebx
        cmpl    $0, C_SHARED
        jne     3f
        add     $DEBUG_PORT, %bx
        mov     %bx, S_PORT
3:      call    apic_init
        lock incl %fs:G_ONLINE
2:      pause
        cmpl    $0, %fs:G_GO
        je      2b
        jmp     ticking
1:      hlt
        jmp     1b

# Start the other vCPUs, and wait until all of them are ready.
others_start:
        cmpl    $1, C_VCPUS
        je      2f
        apic_set APIC_LVTT, LVT_MASKED + VEC_TICK
        apic_set APIC_ICR, ICR_INIT
        mov     $START_MS, %bp
1:      mov     $1000000, %eax
        call    timer_run_out           # a millisecond
        apic_set APIC_ICR, ICR_SIPI + SIPI      # one that has started ignores it
        mov     %fs:G_ONLINE, %eax
        inc     %eax
        cmp     C_VCPUS, %eax
        je      3f
        dec     %bp
        jnz     1b
        mov     $9, %eax
        jmp     bad_config
3:      apic_set APIC_TMICT, 0
        mov     $VEC_TICK, %eax
        jmp     lvtt_write
2:      ret
        .set START_MS, 3000

# 115200 8N1, no interrupts. A real tty keeps its word length so.
uart_init:
        mov     $uart_table - start, %si
1:      mov     %cs:(%si), %dx
        mov     %cs:2(%si), %al
        out     %al, %dx
        add     $3, %si
        cmp     $uart_table_end - start, %si
        jb      1b
        ret
        .macro  uart reg, value
        .word   UART + \reg
        .byte   \value
        .endm
uart_table:
        uart    1, 0x00                 # IER
        uart    3, 0x80                 # LCR: divisor latch
        uart    0, 0x01
        uart    1, 0x00
        uart    3, 0x03                 # LCR: 8N1
        uart    2, 0x07                 # FCR: FIFO on, and emptied
        uart    4, 0x03                 # MCR: DTR, RTS
uart_table_end:

# FS with base 0 and a 4 GiB limit, to reach the xAPIC page from real mode.
unreal: lgdtl   %cs:gdtr - start
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        jmp     1f
1:      mov     $8, %bx
        mov     %bx, %fs
        and     $0xfe, %al
        mov     %eax, %cr0
        jmp     2f
2:      xor     %bx, %bx
        mov     %bx, %fs
        ret
gdt:    .quad   0
        .quad   0x00cf93000000ffff      # accessed already: this is ROM
gdtr:   .word   15
        .long   (SEG << 4) + gdt - start

state_init:
        mov     $S_MAGIC, %di
        mov     $S_SIZE / 2, %cx
        xor     %ax, %ax
        rep stosw
        movl    $0x314b544c, S_MAGIC    # "LTK1"
        movw    $UART, S_PORT
        mov     $DEBUG_PORT, %dx
        in      %dx, %al
        cmp     $0xe9, %al              # so QEMU's debug port answers; no device answers 0xff
        jne     1f
        mov     %dx, S_PORT
1:      ret

ivt_init:
        xor     %di, %di
        mov     $256, %cx
        mov     $vectors - start, %ax
1:      stosw
        add     $3, %ax                 # a call for each
        movw    $SEG, (%di)
        add     $2, %di
        loop    1b
        movw    $nmi_isr - start, 2 * 4
        movw    $tick_isr - start, VEC_TICK * 4
        movw    $swallow_isr - start, VEC_SWALLOW * 4
        ret

# --- configuration: fw_cfg file opt/losttick/config ----------------------
config_read:
        mov     $0x19, %ax              # the directory
        mov     $DIRENT, %di
        mov     $4, %cx
        call    fw_cfg_select_read
        mov     DIRENT, %ebp
        bswap   %ebp
        test    %ebp, %ebp
        jz      no_record
1:      mov     $DIRENT, %di
        mov     $64, %cx
        call    fw_cfg_read
        mov     $DIRENT + 8, %di
        mov     $config_name - start, %si
        mov     $config_name_end - config_name, %cx
        repe cmpsb %es:(%di), %cs:(%si)
        je      2f
        dec     %ebp
        jnz     1b
no_record:
        mov     $1, %eax
        jmp     bad_config
2:      mov     DIRENT, %eax
        bswap   %eax
        cmp     $RECORD_SIZE, %eax
        mov     $2, %eax
        jne     bad_config
        mov     DIRENT + 4, %ax
        xchg    %al, %ah
        mov     $RECORD, %di
        mov     $RECORD_SIZE, %cx
        call    fw_cfg_select_read
        cmpl    $0x314b544c, RECORD
        mov     $3, %eax
        jne     bad_config

        mov     $RECORD + 4, %si
        mov     $C_MODE, %di
        mov     $C_FIELDS, %bp
3:      xor     %edx, %edx
        mov     $8, %cx
4:      lodsb
        sub     $'0', %al
        cmp     $9, %al
        jbe     5f
        sub     $'a' - '0', %al
        cmp     $5, %al
        mov     $4, %ebx
        ja      bad_config_ebx
        add     $10, %al
5:      shl     $4, %edx
        or      %al, %dl
        loop    4b
        mov     %edx, %eax
        stosl
        dec     %bp
        jnz     3b

        mov     $5, %ebx                # can this CPU do it?
        cmpl    $MODE_RTC, C_MODE
        ja      bad_config_ebx
        mov     $6, %ebx
        cmpl    $1000000, C_PERIOD      # at least 1 ms
        jb      bad_config_ebx
        mov     $10, %ebx
        mov     C_VCPUS, %eax
        dec     %eax
        cmp     $VCPUS_MAX - 1, %eax
        ja      bad_config_ebx
        mov     $11, %ebx
        cmpl    $1, C_WAIT
        ja      bad_config_ebx
        cmpl    $STATE_LAST, C_STATE
        ja      bad_config_ebx
        cmpl    $MODE_STIMER, C_MODE
        jne     11f
        call    stimer_check
11:     mov     $1, %eax
        cpuid
        mov     $7, %ebx
        cmpl    $MODE_DEADLINE, C_MODE
        jne     6f
        bt      $24, %ecx
        jnc     bad_config_ebx
6:      mov     $12, %ebx
        mov     C_PERIOD, %eax
        cmpl    $MODE_PIT, C_MODE
        jb      9f
        ja      8f
        cmp     $PIT_LONGEST, %eax
        ja      bad_config_ebx
        jmp     10f
8:      push    %ebx
        push    %ecx
        call    rtc_rate
        cmp     %eax, %ebx
        pop     %ecx
        pop     %ebx
        jne     bad_config_ebx
10:     mov     $13, %ebx               # the PIC interrupts the first vCPU only
        cmpl    $1, C_VCPUS
        jne     bad_config_ebx
        inc     %ebx
        cmpl    $0, C_STATE
        jne     bad_config_ebx
9:      mov     $8, %ebx
        cmpl    $0, C_X2APIC
        je      7f
        bt      $21, %ecx
        jnc     bad_config_ebx
7:      ret

bad_config_ebx:
        mov     %ebx, %eax
bad_config:
        mov     $LINE, %di
        mov     $'B', %bl
        call    line_begin
        call    line_hex
        mov     $LINE, %bp
        call    line_print
halt:   movl    $STAGE_HALTED, S_STAGE
1:      cli
        hlt
        jmp     1b

fw_cfg_select_read:
        mov     $0x510, %dx
        out     %ax, %dx
fw_cfg_read:
        mov     $0x511, %dx
        rep insb
        ret
config_name:
        .asciz  "opt/losttick/config"
config_name_end:

# --- LAPIC ---------------------------------------------------------------
# apic_read: register offset in %ecx, value to %eax. Clobbers %ecx and %edx.
apic_read:
        cmpl    $0, C_X2APIC
        jne     1f
        addr32 mov %fs:0xfee00000(%ecx), %eax
        ret
1:      shr     $4, %ecx
        add     $0x800, %ecx
        rdmsr
        ret

# apic_write: register offset in %ecx, value in %eax. Clobbers %ecx and %edx.
apic_write:
        cmpl    $0, C_X2APIC
        jne     1f
        addr32 mov %eax, %fs:0xfee00000(%ecx)
        ret
1:      shr     $4, %ecx
        add     $0x800, %ecx
        xor     %edx, %edx
        wrmsr
        ret

apic_init:
        mov     $MSR_APIC_BASE, %ecx
        rdmsr
        or      $0x800, %eax
        cmpl    $0, C_X2APIC
        je      1f
        wrmsr
        or      $0xc00, %eax
1:      wrmsr
        apic_set APIC_SVR, 0x100 + VEC_SPURIOUS
        apic_set APIC_TPR, 0
        apic_set APIC_LINT0, LVT_MASKED # a timer behind the PIC opens it
        apic_set APIC_LINT1, 0x400      # NMI
        apic_set APIC_TDCR, 0x0b        # divide by 1
        cmpl    $0, S_ID
        je      1f
        mov     %fs:S_CYCLES, %eax      # the first vCPU, whose DS is 0, has measured it
        jmp     2f
1:      call    cycles_measure
2:      mov     %eax, S_CYCLES
        xor     %edx, %edx
        mov     $1024 * 50, %ecx        # a fiftieth of a period, in units of 1024 cycles
        div     %ecx
        mov     %eax, S_TURN_LIMIT
        mov     $VEC_TICK, %eax
        # fall through

# lvtt_write: LVTT in the configured mode, unmasked, with the vector in %eax.
lvtt_write:
        cmpl    $MODE_STIMER, C_MODE
        jae     pic_vector
        mov     C_MODE, %ecx
        shl     $17, %ecx
        or      %ecx, %eax
        mov     $APIC_LVTT, %ecx
        jmp     apic_write

timer_start:
        cmpl    $MODE_STIMER, C_MODE
        ja      pic_start
        je      stimer_start
        cmpl    $MODE_DEADLINE, C_MODE
        jne     timer_load
        xor     %eax, %eax
        cpuid                           # serialize: LVTT before the deadline
# timer_arm: count the arming, and arm (a periodic timer runs by itself).
timer_arm:
        cmpl    $MODE_DEADLINE, C_MODE
        je      deadline_load
        cmpl    $MODE_STIMER, C_MODE
        je      stimer_load
        cmpl    $MODE_PERIODIC, C_MODE
        jb      timer_load
        incl    S_ARMS
        ret
timer_load:
        mov     C_PERIOD, %eax
        mov     $APIC_TMICT, %ecx
        call    apic_write
        incl    S_ARMS
        ret
deadline_load:
        rdtsc
        add     S_CYCLES, %eax
        adc     $0, %edx
        mov     %eax, S_DEADLINE
        mov     %edx, S_DEADLINE + 4
        mov     $MSR_DEADLINE, %ecx
        wrmsr
        incl    S_ARMS
        ret

eoi:    cmpl    $MODE_PIT, C_MODE
        jae     pic_eoi
        xor     %eax, %eax
        mov     $APIC_EOI, %ecx
        jmp     apic_write

# --- interrupts ----------------------------------------------------------
tick_isr:
        push    %eax
        push    %ecx
        push    %edx
        push    %bp
        tsc_read
        mov     %eax, S_TICK_TSC
        mov     %edx, S_TICK_TSC + 4
        mov     S_TICKS, %ecx
        cmp     S_PRINTED, %ecx
        jne     4f                      # the line of the tick before has not begun
        cmpl    $0, S_PRINTING
        jne     2f                      # the time until a line is printed is no turn
4:      mov     %sp, %bp
        cmpw    $halted - start, 14(%bp)
        jne     4f
        call    turn_begins
        jmp     2f
4:      cmpw    $turn_read - start, 14(%bp)
        jb      3f
        cmpw    $turn_noted - start, 14(%bp)
        ja      3f
        movw    $wait - start, 14(%bp)
3:      call    turn_ends
2:      mov     S_SPINS, %eax
        mov     %eax, S_TICK_SPINS
        cmp     S_SPINS_MOST, %eax
        jb      1f
        mov     %eax, S_SPINS_MOST
1:      movl    $0, S_SPINS
        movl    $0, S_NMIS
        incl    S_TICKS
        mov     C_FAULT_TICK, %eax
        cmp     S_TICKS, %eax
        je      faulty
        call    timer_arm
tick_done:
        cmpl    $STATE_IN_SERVICE, C_STATE
        jne     1f
        cmpl    $HOLD_FROM, S_TICKS
        jae     2f                      # the main loop sends it
1:      call    eoi
2:      pop     %bp
        pop     %edx
        pop     %ecx
        pop     %eax
        iret

# Test switches: what this guest does wrong at one tick.
faulty: mov     C_FAULT, %eax
        cmp     $FAULT_NO_REARM, %eax
        je      tick_done
        push    %eax
        call    timer_arm
        pop     %eax
        cmp     $FAULT_IF_CLEAR, %eax
        je      1f
        cmp     $FAULT_MASKED, %eax
        je      2f
        cmp     $FAULT_TRIPLE, %eax
        je      3f
        cmp     $FAULT_TPR, %eax
        je      4f
        cmp     $FAULT_TMICT, %eax
        je      5f
        cmp     $FAULT_MUTE, %eax
        je      6f
        cmp     $FAULT_HALT, %eax
        je      halt
        mov     $6, %ecx                # quarters of a period
        cmp     $FAULT_LATE, %eax
        je      7f
        cmp     $FAULT_RATE, %eax
        je      8f
        mov     $2, %ecx
        cmp     $FAULT_EARLY, %eax
        je      7f
        jmp     faulty_clock
7:      pushl   C_PERIOD
        pushl   S_CYCLES
        call    arm_scaled
        popl    S_CYCLES
        popl    C_PERIOD
        jmp     tick_done
8:      call    arm_scaled
        jmp     tick_done
1:      mov     %sp, %bp
        andw    $~0x200, 18(%bp)        # IF of the interrupted frame
        jmp     tick_done
2:      mov     $LVT_MASKED + VEC_TICK, %eax
        call    lvtt_write
        jmp     tick_done
3:      movl    $0, DIRENT              # an IDT of no entries
        movw    $0, DIRENT + 4
        lidt    DIRENT
        int3
4:      apic_set APIC_TPR, 0xf0
        jmp     tick_done
5:      apic_set APIC_TMICT, 0
        jmp     tick_done
6:      movl    $1, S_MUTE
        jmp     tick_done

# arm_scaled: scale the period to %ecx quarters, and arm the timer once more.
arm_scaled:
        mov     C_PERIOD, %eax
        shr     $2, %eax
        mul     %ecx
        mov     %eax, C_PERIOD
        mov     S_CYCLES, %eax
        shr     $2, %eax
        mul     %ecx
        mov     %eax, S_CYCLES
        decl    S_ARMS                  # the tick has been armed for already
        cmpl    $MODE_DEADLINE, C_MODE
        je      deadline_load
        cmpl    $MODE_STIMER, C_MODE
        je      stimer_load
        jmp     timer_load

swallow_isr:
        push    %eax
        push    %ecx
        push    %edx
        incl    S_SWALLOWED
        call    eoi
        pop     %edx
        pop     %ecx
        pop     %eax
        iret

# The testimony. The first two NMIs after a tick only look; the third re-arms.
nmi_isr:
        pushal
        mov     %sp, %bp                # 32(%bp): IP, CS, FLAGS
        incl    S_NMIS
        mov     $NMI_LINE, %di
        mov     $'N', %bl
        call    line_begin
        mov     S_NMIS, %eax
        call    line_hex
        cmpl    $MODE_PIT, C_MODE
        jb      6f
        call    pic_testify
        jmp     7f
6:      .irp    register, LVTT, TMICT, TMCCT, IRR2, ISR2
        mov     $APIC_\register, %ecx
        call    apic_read
        call    line_hex
        .endr
7:      .irp    register, PPR, TPR
        mov     $APIC_\register, %ecx
        call    apic_read
        call    line_hex
        .endr
        xor     %eax, %eax
        xor     %edx, %edx
        cmpl    $MODE_STIMER, C_MODE
        je      9f
        cmpl    $MODE_DEADLINE, C_MODE
        jne     2f
        mov     $MSR_DEADLINE, %ecx
        rdmsr
        jmp     2f
9:      call    stimer_testify
2:      push    %eax
        mov     %edx, %eax
        call    line_hex
        pop     %eax
        call    line_hex
        mov     S_SPINS, %eax
        call    line_hex
        mov     S_TICKS, %eax
        call    line_hex
        mov     S_ARMS, %eax
        call    line_hex
        movzwl  36(%bp), %eax
        call    line_hex
        movzwl  34(%bp), %eax
        call    line_hex
        movzwl  32(%bp), %eax
        call    line_hex
        mov     $APIC_IRR, %cx
        call    vector_elsewhere
        push    %ax
        mov     $APIC_ISR, %cx
        call    vector_elsewhere
        push    %ax
        pop     %eax                    # ISR's in the low half, IRR's in the high one
        call    line_hex
        call    port_try
        jne     5f
        mov     $NMI_LINE, %bp
        call    line_print
        call    port_free
5:      cmpl    $3, S_NMIS
        jne     3f
        cmpl    $MODE_STIMER, C_MODE
        ja      8f
        je      9f
        cmpl    $MODE_DEADLINE, C_MODE
        je      4f
        call    timer_load
        jmp     3f
8:      call    pic_start
        jmp     3f
9:      call    stimer_start
        jmp     3f
4:      call    deadline_load
3:      call    turn_begins
        popal
        iret

# --- lines ---------------------------------------------------------------
# line_begin: type in %bl, buffer in %di. Keeps %eax. A line begins with its type and
# the vCPU. The checksum starts as the type and 256 times the vCPU; each field rotates
# it left by five and is added.
line_begin:
        movzbl  %bl, %esi
        mov     S_ID, %bh
        or      %bx, %si
        add     $'0', %bh
        mov     %bx, (%di)
        add     $2, %di
        ret

# line_hex: append a blank and the hexadecimal digits of %eax, without leading zeros;
# keep the checksum in %esi. Clobbers %eax, %ebx, %ecx, %edx. By table: KVM without
# hardware virtualization interprets each instruction, and each character of a line costs
# an exit. A line must take little of a period.
line_hex:
        rol     $5, %esi
        add     %eax, %esi
        mov     %eax, %edx
        mov     $' ', %al
        stosb
        mov     %edx, %eax
        or      $1, %al                 # zero has one digit
        bsr     %eax, %ecx
        and     $0x1c, %cl
        add     $4, %cl                 # bits of its digits
        ror     %cl, %edx               # the first digit is on top
        shr     $3, %cl                 # pairs of digits; carry: one digit before them
        jnc     1f
        rol     $4, %edx
        movzbw  %dl, %bx
        and     $0xf, %bl
        add     %bx, %bx
        mov     %cs:hex - start + 1(%bx), %al
        stosb
        jcxz    2f
1:      rol     $8, %edx
        movzbw  %dl, %bx
        add     %bx, %bx
        mov     %cs:hex - start(%bx), %ax
        stosw
        loop    1b
2:      ret
        .macro  hex_digit value
        .if \value < 10
        .byte   '0' + \value
        .else
        .byte   'a' - 10 + \value
        .endif
        .endm
hex:    .set    byte, 0
        .rept   256
        hex_digit (byte >> 4)
        hex_digit (byte & 15)
        .set    byte, byte + 1
        .endr

# line_print: append the checksum to the line that starts at %bp and ends at
# %di, and print it.
line_print:
        mov     %esi, %eax
        call    line_hex
        movb    $'\n', (%di)
        inc     %di
        mov     %bp, %si
        mov     S_PORT, %dx
        cmp     $UART, %dx
        je      2f
1:      lodsb                           # a debug port takes it as it comes; KVM does not
        out     %al, %dx                # have to emulate this as it would outsb
        cmp     %di, %si
        jb      1b
        ret
2:      mov     $UART + 5, %dx
3:      in      %dx, %al
        test    $0x20, %al              # THRE: the FIFO is empty
        jz      3b
        mov     $1, %bx
        mov     C_PRINT_DELAY, %ecx
        jecxz   5f
4:      addr32 loop 4b
        jmp     6f
5:      mov     $16, %bx                # fill it by one exit
6:      mov     %di, %cx
        sub     %si, %cx
        cmp     %bx, %cx
        jbe     7f
        mov     %bx, %cx
7:      mov     $UART, %dx
        rep outsb
        cmp     %di, %si
        jb      2b
        mov     $UART + 5, %dx
8:      in      %dx, %al
        test    $0x40, %al              # TEMT: nothing is left in the UART
        jz      8b
        ret

# port_take: wait until no other vCPU prints on a shared port. For main loops.
port_take:
        cmpl    $0, C_SHARED
        je      2f
        mov     S_ID, %ecx
        inc     %ecx
1:      pause
        xor     %eax, %eax
        lock cmpxchg %ecx, %fs:G_LOCK
        jne     1b
2:      ret

# port_try: the same for an NMI, for about two periods, and not at all if it
# interrupted this vCPU's own printing. Equal (ZF) if the port was taken.
port_try:
        cmpl    $0, C_SHARED
        je      2f
        mov     S_ID, %ecx
        inc     %ecx
        cmp     %fs:G_LOCK, %ecx
        je      3f
        mov     S_SPINS_MOST, %edx
        add     %edx, %edx
        cmpl    $0, C_WAIT
        je      1f
        mov     $HALTING_TURNS, %edx    # a guest that halts counts no spins
1:      cmpl    $0, %fs:G_LOCK          # a turn like one of the main loop
        jne     4f
        xor     %eax, %eax
        lock cmpxchg %ecx, %fs:G_LOCK
        je      2f
4:      dec     %edx
        jns     1b
3:      test    %sp, %sp                # not equal
2:      ret

        .set    HALTING_TURNS, 100000

port_free:
        cmpl    $0, C_SHARED
        je      1f
        movl    $0, %fs:G_LOCK
1:      ret

ready_line:
        mov     $LINE, %di
        mov     $'R', %bl
        call    line_begin
        mov     $C_MODE, %bp
1:      mov     %ds:(%bp), %eax
        call    line_hex
        add     $4, %bp
        cmp     $C_MODE + 4 * C_FIELDS, %bp
        jb      1b
        mov     S_CYCLES, %eax
        call    line_hex
        mov     $LINE, %bp
        jmp     line_print

# tick_line: sequence number, spins, TSC of the tick, cycles from the tick before until its
# line was printed (all bits set if they are too many), arms; if turns were long: how long in
# all, the longest, and the times from its end and from the end of the last one to the tick, in
# units of 1024 cycles; kvmclock and how far the TSC was ahead, where clock_fields has them.
tick_line:
        movl    $1, S_PRINTING
        pushl   S_TICK_TSC + 4
        pushl   S_TICK_TSC
        mov     $LINE, %di
        mov     $'T', %bl
        call    line_begin
        pushf
        cli
        mov     S_TICKS, %eax
        mov     %eax, S_PRINTED
        call    line_hex
        mov     S_TICK_SPINS, %eax
        call    line_hex
        mov     S_TICK_TSC + 4, %eax
        call    line_hex
        mov     S_TICK_TSC, %eax
        call    line_hex
        mov     S_PRINT_TSC, %eax
        call    line_hex
        mov     S_ARMS, %eax
        call    line_hex
        cmpl    $0, S_LONGEST
        je      2f
        mov     S_STOLEN, %eax
        call    line_hex
        mov     S_LONGEST, %eax
        call    line_hex
        mov     S_LONGEST_END, %ebp
        call    line_since
        mov     S_LAST_END, %ebp
        call    line_since
        xor     %eax, %eax
        mov     %eax, S_STOLEN
        mov     %eax, S_LONGEST
2:      call    clock_fields
        popf
        cmpl    $0, S_MUTE
        jne     1f
        call    port_take
        mov     $LINE, %bp
        call    line_print
        call    port_free
1:      tsc_read
        pop     %ecx
        sub     %ecx, %eax
        pop     %ecx
        sbb     %ecx, %edx
        je      3f
        mov     $-1, %eax
3:      mov     %eax, S_PRINT_TSC
        pushf
        cli
        call    turn_begins
        movl    $0, S_PRINTING
        popf
        mov     S_PRINTED, %eax
        cmp     C_FAULT_TICK, %eax
        je      faulty_line
        ret

# line_since: append the time from %ebp until the tick. S_TURN does not tell when the tick came:
# a turn can end after its handler and before its line.
line_since:
        mov     S_TICK_TSC, %eax
        mov     S_TICK_TSC + 4, %edx
        shrd    $10, %edx, %eax
        sub     %ebp, %eax
        jmp     line_hex

# --- where the other vCPUs start: a page that a SIPI can name -------------
        .org    (SIPI << 12) - (SEG << 4), 0xff
ap_start:
        ljmp    $SEG, $ap_entry - start

# --- interrupts on other vectors -----------------------------------------
# One call of three bytes for each vector: what it pushes tells which it was.
vectors:
        .rept   256
        .byte   0xe8
        .word   other_isr - 1f
1:
        .endr
other_isr:
        push    %eax
        push    %ecx
        push    %edx
        push    %bp
        mov     %sp, %bp
        mov     14(%bp), %ax            # the call's return address; then IP, CS, FLAGS
        sub     $vectors - start + 3, %ax
        mov     $3, %cl
        div     %cl
        movzbl  %al, %eax
        cmp     $32, %eax
        jb      exception
        push    %eax
        call    spurious
        pop     %eax
        je      1f
        incl    S_STRAYS
        mov     %eax, S_STRAY
        jmp     2f
1:      incl    S_SPURIOUS
2:      pop     %bp
        pop     %edx
        pop     %ecx
        pop     %eax
        add     $2, %sp
        iret

exception:
        push    %eax
        mov     $LINE, %di
        mov     $'P', %bl
        call    line_begin
        movzwl  18(%bp), %eax
        call    line_hex
        movzwl  16(%bp), %eax
        call    line_hex
        pop     %eax
        call    line_hex
        mov     $LINE, %bp
        call    line_print
        jmp     halt

# spurious: ZF if the interrupt on the vector in %eax seems to be one that a LAPIC or a PIC raises
# when a request is gone before it is taken. It is not in service, and only the slave's needs an
# EOI: the master's own. A LAPIC that ends interrupts by itself has none in service. Clobbers
# %eax, %ecx and %edx.
spurious:
        cmp     $VEC_SPURIOUS, %eax
        jne     1f
        mov     $APIC_ISR + 0x70, %ecx
        call    apic_read
        test    $1 << 31, %eax
        ret
1:      cmpl    $MODE_PIT, C_MODE
        jb      4f                      # the PIC is not in use
        mov     $0x20, %dx
        cmp     $VEC_TICK + 7, %eax     # IRQ 7 or IRQ 15
        je      2f
        cmp     $VEC_TICK + 0x17, %eax
        jne     4f
        mov     $0xa0, %dx
2:      cmpl    $MODE_PIT, C_MODE
        je      3f
        xor     $0x80, %dx              # the tick's own PIC is the slave
3:      mov     $0x0b, %al              # OCW3: read the ISR
        out     %al, %dx
        in      %dx, %al
        test    $0x80, %al
        jnz     4f
        cmp     $0x20, %dx
        je      4f                      # ZF
        mov     $0x20, %al
        out     %al, $0x20
        cmp     %al, %al
4:      ret

# faulty_line: what this guest does wrong once the line of one tick is printed.
faulty_line:
        mov     C_FAULT, %eax
        cmp     $FAULT_EXTRA, %eax
        je      1f
        cmp     $FAULT_STRAY, %eax
        je      2f
        cmp     $FAULT_SPURIOUS, %eax
        jne     3f
        .irp    vector, VEC_SPURIOUS, VEC_TICK + 7, VEC_TICK + 0x17
        pushf                           # as a CPU does, with nothing in service
        cli
        lcall   *%fs:4 * (\vector)
        cmpl    $MODE_PIT, C_MODE
        jb      3f
        .endr
        ret
1:      apic_set APIC_ICR, ICR_SELF + VEC_TICK
        ret
2:      apic_set APIC_ICR, ICR_SELF + VEC_SPURIOUS
3:      ret

# --- more of the lines -------------------------------------------------

# control_line: the tick after which the window began, the window in spins.
control_line:
        movl    $1, S_PRINTING
        mov     $LINE, %di
        mov     $'C', %bl
        call    line_begin
        mov     S_PRINTED, %eax
        call    line_hex
        mov     S_WINDOW, %eax
        call    line_hex
        call    port_take
        mov     $LINE, %bp
        call    line_print
        call    port_free
        movl    $0, S_PRINTING
        ret

# vector_elsewhere: the highest vector in the IRR or ISR, whose first register is in %cx,
# outside the tick vector's register, to %ax; 0 if there is none. Clobbers %ebx, %ecx, %edx.
vector_elsewhere:
        lea     0x70(%ecx), %bx         # the last register
1:      movzwl  %bx, %ecx
        call    apic_read
        mov     %bx, %cx
        and     $0x70, %cx              # 16 times its number
        cmp     $VEC_TICK / 2, %cx
        je      2f
        test    %eax, %eax
        jnz     3f
2:      sub     $0x10, %bx
        test    %cx, %cx
        jnz     1b
        xor     %ax, %ax
        ret
3:      bsr     %eax, %eax
        add     %cx, %cx
        add     %cx, %ax
        ret

# --- the TSCs of several vCPUs, and kvmclock ------------------------------
# Each vCPU notes its TSC in each turn. A vCPU that has read the next one's note and then
# its own TSC knows how far its TSC is ahead of the other's, at most.

        .set    PEER_TURNS, 16          # turns from one look to the next

peer_compare:
        call    peer_look
        jmp     turn

# peer_look: note the difference if it is the least so far. Clobbers %eax, %ebx, %ecx, %edx.
peer_look:
        mov     S_PEER, %bx
        test    %bx, %bx
        jz      1f
        mov     %fs:(%bx), %ecx
        jecxz   1f                      # it has not begun to tick
        tsc_read
        shrd    $10, %edx, %eax
        sub     %ecx, %eax
        cmp     S_AHEAD, %eax
        jge     1f
        mov     %eax, S_AHEAD
1:      ret

# clocks_init: find the next vCPU, which is the first one for the last; and have KVM keep
# this vCPU's kvmclock where its CPUID leaves offer one. Clobbers all but %sp.
clocks_init:
        movl    $0x7fffffff, S_AHEAD
        mov     S_ID, %eax
        inc     %eax
        cmp     C_VCPUS, %eax
        jb      1f
        xor     %eax, %eax
1:      cmp     S_ID, %eax
        je      2f
        shl     $13, %eax               # 16 * VCPU_SEGS
        add     $S_TURN, %eax
        mov     %eax, S_PEER
2:      mov     $PVCLOCK, %di
        mov     $16, %cx
        xor     %ax, %ax
        rep stosw
        mov     $0x40000000, %ebp       # KVM's leaves; behind those of Hyper-V, if there are any
3:      mov     %ebp, %eax
        cpuid
        cmp     $0x4b4d564b, %ebx       # "KVMKVMKVM"
        jne     4f
        cmp     $0x564b4d56, %ecx
        jne     4f
        lea     1(%ebp), %eax
        cpuid
        bt      $3, %eax                # CLOCKSOURCE2
        jnc     5f
        mov     S_ID, %eax
        shl     $13, %eax
        add     $PVCLOCK + 1, %eax      # enabled
        xor     %edx, %edx
        mov     $MSR_KVM_SYSTEM_TIME, %ecx
        wrmsr
        ret
4:      add     $0x100, %ebp
        cmp     $0x40000100, %ebp
        je      3b
5:      ret
        .set    MSR_KVM_SYSTEM_TIME, 0x4b564d01

# clock_fields: append kvmclock at the tick, if KVM has changed its data since the last line
# with it, and how far the TSC was ahead of the next vCPU's, if there is another. Between two
# changes kvmclock goes on with the TSC. With interrupts off.
clock_fields:
        cmpl    $0, PVCLOCK
        je      1f
        call    kvmclock_at_tick
        mov     PVCLOCK + 8, %eax
        mov     PVCLOCK + 16, %edx
        cmp     S_BASE, %eax
        jne     3f
        cmp     S_BASE + 4, %edx
        je      1f
3:      mov     %eax, S_BASE
        mov     %edx, S_BASE + 4
        mov     S_KVMCLOCK + 4, %eax
        call    line_hex
        mov     S_KVMCLOCK, %eax
        call    line_hex
1:      cmpw    $0, S_PEER
        je      2f
        mov     S_AHEAD, %eax
        call    line_hex
        movl    $0x7fffffff, S_AHEAD
2:      ret

# kvmclock_at_tick: kvmclock at S_TICK_TSC to S_KVMCLOCK. Clobbers all but %esi and %di.
kvmclock_at_tick:
        mov     PVCLOCK, %ebp           # its version, odd while KVM writes
        mov     S_TICK_TSC, %eax
        mov     S_TICK_TSC + 4, %edx
        sub     PVCLOCK + 8, %eax
        sbb     PVCLOCK + 12, %edx
        push    %edx                    # its sign: KVM may have written since the tick
        jns     1f
        neg     %eax
        adc     $0, %edx
        neg     %edx
1:      mov     PVCLOCK + 28, %cl       # the shift
        test    %cl, %cl
        js      2f
        shld    %cl, %eax, %edx
        shl     %cl, %eax
        jmp     3f
2:      neg     %cl
        shrd    %cl, %edx, %eax
        shr     %cl, %edx
3:      mov     %edx, %ebx
        mull    PVCLOCK + 24
        mov     %edx, %ecx              # the high half of the low product
        mov     %ebx, %eax
        mull    PVCLOCK + 24
        add     %ecx, %eax
        adc     $0, %edx
        pop     %ebx
        test    %ebx, %ebx
        jns     4f
        neg     %eax
        adc     $0, %edx
        neg     %edx
4:      add     PVCLOCK + 16, %eax
        adc     PVCLOCK + 20, %edx
        add     S_CLOCK_SHIFT, %eax
        adc     $0, %edx
        test    $1, %ebp
        jnz     kvmclock_at_tick
        cmp     PVCLOCK, %ebp
        jne     kvmclock_at_tick
        mov     %eax, S_KVMCLOCK
        mov     %edx, S_KVMCLOCK + 4
        ret

# The faults of clocks, by %eax.
faulty_clock:
        cmp     $FAULT_SKEW, %eax
        jne     1f
        mov     S_CYCLES, %eax
        shr     $16, %eax
        mov     %eax, S_SHIFT_UNITS
        shl     $10, %eax
        mov     %eax, S_SHIFT
1:      cmp     $FAULT_CLOCK, %eax
        jne     2f
        movl    $CLOCK_JUMP, S_CLOCK_SHIFT
2:      jmp     tick_done

# --- the frequency of the TSC ----------------------------------------------
# timer_run_out: run the timer, masked, from %eax to 0; TSC cycles of that to %eax.
timer_run_out:
        mov     $APIC_TMICT, %ecx
        call    apic_write
        rdtsc
        mov     %eax, %esi
1:      mov     $APIC_TMCCT, %ecx
        call    apic_read
        test    %eax, %eax
        jnz     1b
        rdtsc
        sub     %esi, %eax
        ret

# cycles_measure: TSC cycles in a period to %eax, from the masked timer's count at two
# moments. A stall between them changes nothing; one in which the timer runs out, or by
# which a count and its TSC lie apart, is tried again.
cycles_measure:
        apic_set APIC_LVTT, LVT_MASKED + VEC_TICK
        movw    $MEASURE_RUNS, RECORD + 8
1:      apic_set APIC_TMICT, MEASURE_NS
        call    count_read
        pushl   RECORD
        pushl   RECORD + 4
2:      mov     $APIC_TMCCT, %ecx
        call    apic_read
        cmp     $MEASURE_NS / 4 * 3, %eax
        ja      2b
        call    count_read
        pop     %ecx
        pop     %ebx
        mov     RECORD + 4, %edx
        test    %edx, %edx
        jnz     3f
        decw    RECORD + 8
        jnz     1b
3:      sub     %edx, %ecx              # what it counted
        mov     RECORD, %eax
        sub     %ebx, %eax
        mov     %eax, %ebx              # TSC cycles of that
        mov     %ecx, %esi
        apic_set APIC_TMICT, 0
        mov     %ebx, %eax
        mull    C_PERIOD
        cmp     %esi, %edx
        jae     4f
        div     %esi
        ret
4:      or      $-1, %eax               # a period of more than 2^32 cycles
        ret
        .set MEASURE_NS, 16000000
        .set MEASURE_RUNS, 16

# count_read: the TSC to RECORD and TMCCT to RECORD + 4, of the reading that took least.
count_read:
        mov     $COUNT_READINGS, %bx
        or      $-1, %edi
1:      rdtsc
        mov     %eax, %esi
        mov     $APIC_TMCCT, %ecx
        call    apic_read
        mov     %eax, %ebp
        rdtsc
        sub     %esi, %eax
        cmp     %edi, %eax
        jae     2f
        mov     %eax, %edi
        mov     %esi, RECORD
        mov     %ebp, RECORD + 4
2:      dec     %bx
        jnz     1b
        ret
        .set COUNT_READINGS, 8

# --- Hyper-V's synthetic timer -------------------------------------------
# stimer_check: jump to bad_config_ebx if this guest can't tick by it.
stimer_check:
        mov     $HV_FEATURES, %eax
        cpuid
        mov     $15, %ebx
        bt      $HV_STIMER_DIRECT, %edx
        jnc     bad_config_ebx
        inc     %ebx                    # pic_vector changes the handler of all vCPUs
        cmpl    $1, C_VCPUS
        jne     bad_config_ebx
        ret

# stimer_start: direct mode, the tick vector, enabled by each write of the count. The count is
# the time of the tick by the reference counter, in units of 100 ns.
stimer_start:
        mov     $STIMER_CONFIG, %eax
        xor     %edx, %edx
        mov     $MSR_STIMER_CONFIG, %ecx
        wrmsr
stimer_load:
        mov     C_PERIOD, %eax
        xor     %edx, %edx
        mov     $100, %ecx
        div     %ecx
        push    %eax
        mov     $MSR_REFERENCE, %ecx
        rdmsr
        pop     %ecx
        add     %ecx, %eax
        adc     $0, %edx
        mov     %eax, S_DEADLINE
        mov     %edx, S_DEADLINE + 4
        mov     $MSR_STIMER_COUNT, %ecx
        wrmsr
        incl    S_ARMS
        ret
        .set    STIMER_CONFIG, 1 << 12 | VEC_TICK << 4 | 1 << 3

# stimer_testify: the count to %edx and %eax; 0 if the timer is over.
stimer_testify:
        mov     $MSR_STIMER_CONFIG, %ecx
        rdmsr
        test    $1, %al
        mov     $0, %eax
        jz      1f
        mov     $MSR_STIMER_COUNT, %ecx
        rdmsr
1:      ret

# --- PIT and RTC, through the PIC ----------------------------------------
# Both run by themselves, so that the handler only ends the interrupt. IRQ 0 and IRQ 8 are
# the tick vector in their mode. The LAPIC hands the PIC's interrupts on through LINT0.

pic_start:
        mov     $pic_table - start, %si
        cmpl    $MODE_PIT, C_MODE
        je      1f
        mov     $pic_table_rtc - start, %si
1:      mov     $PIC_WRITES, %bp
2:      movzbw  %cs:(%si), %dx
        mov     %cs:1(%si), %al
        out     %al, %dx
        add     $2, %si
        dec     %bp
        jnz     2b
        apic_set APIC_LINT0, 0x700      # ExtINT
        mov     C_PERIOD, %eax
        cmpl    $MODE_PIT, C_MODE
        jne     rtc_start
        mov     $PIT_HZ, %ecx
        mul     %ecx
        mov     $1000000000, %ecx
        div     %ecx
        mov     %eax, %ecx
        mov     $0x34, %al              # channel 0, both bytes, rate generator
        out     %al, $0x43
        mov     %cl, %al
        out     %al, $0x40
        mov     %ch, %al
        out     %al, $0x40
        incl    S_ARMS
        ret
rtc_start:
        call    rtc_rate
        mov     $0x20, %ah              # the divider's usual setting
        or      %cl, %ah
        mov     $0x0a, %al
        out     %al, $0x70
        mov     %ah, %al
        out     %al, $0x71
        mov     $0x0b, %al
        out     %al, $0x70
        mov     $0x42, %al              # the periodic interrupt; 24 hours
        out     %al, $0x71
        mov     $0x0c, %al
        out     %al, $0x70
        in      $0x71, %al              # what it has raised so far is over
        incl    S_ARMS
        ret

# rtc_rate: the rate for the period in %eax to %ecx; the period of that rate to %ebx.
rtc_rate:
        mov     $7, %ecx
        mov     $RTC_SHORTEST, %ebx
1:      cmp     %eax, %ebx
        jae     2f
        cmp     $15, %ecx
        je      2f
        inc     %ecx
        add     %ebx, %ebx
        jmp     1b
2:      ret

pic_table:
        .macro  pic_table_of master, slave, master_mask, slave_mask
        .byte   0x20, 0x11, 0xa0, 0x11  # ICW1: edge, cascade, ICW4
        .byte   0x21, \master, 0xa1, \slave
        .byte   0x21, 0x04, 0xa1, 0x02
        .byte   0x21, 0x01, 0xa1, 0x01
        .byte   0x21, \master_mask, 0xa1, \slave_mask
        .endm
        pic_table_of VEC_TICK, VEC_TICK + 0x10, 0xfe, 0xff
        .set    PIC_WRITES, (. - pic_table) / 2
pic_table_rtc:
        pic_table_of VEC_TICK + 0x10, VEC_TICK, 0xfb, 0xfe

pic_eoi:
        cmpl    $MODE_PIT, C_MODE
        je      1f
        mov     $0x0c, %al
        out     %al, $0x70
        in      $0x71, %al              # else it raises no other
        mov     $0x20, %al
        out     %al, $0xa0
1:      mov     $0x20, %al
        out     %al, $0x20
        ret

# pic_vector: let the handler of the vector in %al have the ticks; the control swallows them.
pic_vector:
        movw    $tick_isr - start, %fs:VEC_TICK * 4
        cmp     $VEC_SWALLOW, %al
        jne     1f
        movw    $swallow_isr - start, %fs:VEC_TICK * 4
1:      ret

# pic_testify: append five fields to a testimony in the place of LAPIC registers: the mask of
# the tick's PIC; the RTC's register A or 0; the PIT's count or the RTC's register B; IRR; ISR.
pic_testify:
        mov     $0x20, %dx
        cmpl    $MODE_PIT, C_MODE
        je      1f
        mov     $0xa0, %dx
1:      inc     %dx
        in      %dx, %al
        dec     %dx
        movzbl  %al, %eax
        call    pic_field
        xor     %ecx, %ecx
        cmpl    $MODE_PIT, C_MODE
        jne     2f
        xor     %eax, %eax
        call    pic_field
        mov     $0x00, %al              # latch channel 0
        out     %al, $0x43
        in      $0x40, %al
        mov     %al, %cl
        in      $0x40, %al
        mov     %al, %ch
        mov     %ecx, %eax
        jmp     3f
2:      mov     $0x0a, %al
        out     %al, $0x70
        in      $0x71, %al
        movzbl  %al, %eax
        call    pic_field
        mov     $0x0b, %al
        out     %al, $0x70
        in      $0x71, %al
        movzbl  %al, %eax
3:      call    pic_field
        mov     $0x0a, %al              # OCW3: read the IRR
        out     %al, %dx
        in      %dx, %al
        movzbl  %al, %eax
        call    pic_field
        mov     $0x0b, %al              # OCW3: read the ISR
        out     %al, %dx
        in      %dx, %al
        movzbl  %al, %eax
pic_field:
        push    %edx
        call    line_hex
        pop     %edx
        ret

        .set    PIT_HZ, 1193182
        .set    PIT_LONGEST, 54000000   # ns
        .set    RTC_SHORTEST, 1953125   # ns

# --- the reset vector ----------------------------------------------------
        .org    0xfff0, 0xff
reset:  ljmp    $SEG, $entry - start
        .org    0xfffe, 0xff
        .byte   0xfc, 0x00
        .org    0x10000, 0xff
