/* How many multiply-adds a core does in a second, on registers alone: nothing is loaded or stored.

   Sixteen sums in turn hide the latency of the instruction. image_tower_ceiling.py compiles it. */

#include <time.h>

#define SUMS 16
#define STEP(kind, sum) kind " %%zmm30, %%zmm31, %%zmm" #sum "\n\t"
#define STEPS(kind)                                                                      \
    STEP(kind, 0) STEP(kind, 1) STEP(kind, 2) STEP(kind, 3) STEP(kind, 4) STEP(kind, 5)  \
    STEP(kind, 6) STEP(kind, 7) STEP(kind, 8) STEP(kind, 9) STEP(kind, 10) STEP(kind, 11) \
    STEP(kind, 12) STEP(kind, 13) STEP(kind, 14) STEP(kind, 15)

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

/* Multiply-adds a second of this thread's CPU time; `lanes` are one instruction's. */
#define RATE(function, kind, lanes)                                                       \
    double function(long repeats) {                                                      \
        long left = repeats;                                                              \
        double begin = seconds();                                                         \
        __asm__ volatile("vpxorq %%zmm30, %%zmm30, %%zmm30\n\t"                          \
                         "vpxorq %%zmm31, %%zmm31, %%zmm31\n\t"                          \
                         "1:\n\t" STEPS(kind) "dec %0\n\t"                               \
                         "jnz 1b\n\t"                                                     \
                         : "+r"(left)                                                     \
                         :                                                                \
                         : "cc", "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6",  \
                           "zmm7", "zmm8", "zmm9", "zmm10", "zmm11", "zmm12", "zmm13",    \
                           "zmm14", "zmm15", "zmm30", "zmm31");                           \
        return (double)repeats * SUMS * lanes / (seconds() - begin);                     \
    }

RATE(fp32_rate, "vfmadd231ps", 16)
RATE(bf16_rate, "vdpbf16ps", 32)
RATE(int8_rate, "vpdpbusd", 64)
