// What this machine can do at most: bytes from memory, multiply-adds in three number formats. One and two threads.
//
//   cc -O2 -march=native -pthread roofline.c -o roofline && ./roofline [threads]
//
// One JSON object on stdout: figure -> GB/s or Gop/s (a multiply-add is two), best of several runs by wall clock. What the
// CPU lacks is left out. Loops are those of the STREAM benchmark (read) and of register tiles that never leave the core.
//
// Each loop is one asm block that names its registers: gcc 12 keeps an array of accumulators on the stack whatever is unrolled,
// and then measures loads and stores. `roofline.py` looks into the compiled program for what may not be there.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// More than the last cache holds, which is 480 MiB on some processors.
#define BYTES ((size_t)1 << 30)
#define ROUNDS 7

static float *memory;
static volatile float sink;

typedef void (*work)(int part, int parts);

// Twenty-four accumulators of 512 bits, zmm8 to zmm31, leave eight registers for operands. Twenty-four are enough for two
// instructions a cycle that take twelve cycles each.
#define EACH_512(X) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
#define ACCUMULATORS_512 24
#define CLOBBERS_512 "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31"
#define ZERO_512(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
// Twelve of 256 bits, ymm4 to ymm15.
#define EACH_256(X) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define ACCUMULATORS_256 12
#define CLOBBERS_256 "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define ZERO_256(n) "vpxor %%ymm" #n ", %%ymm" #n ", %%ymm" #n "\n\t"

#define LOOPS 10000000L

#if defined(__AVX512F__)
typedef float operand __attribute__((vector_size(64)));
typedef int integers __attribute__((vector_size(64)));
#define EACH EACH_512
#define ZERO ZERO_512
#define CLOBBERS CLOBBERS_512
#define ACCUMULATORS ACCUMULATORS_512
#define REGISTER "%%zmm"
#define OPERAND "v"
#elif defined(__AVX2__)
typedef float operand __attribute__((vector_size(32)));
typedef int integers __attribute__((vector_size(32)));
#define EACH EACH_256
#define ZERO ZERO_256
#define CLOBBERS CLOBBERS_256
#define ACCUMULATORS ACCUMULATORS_256
#define REGISTER "%%ymm"
#define OPERAND "x"
#endif

// One instruction on every accumulator, LOOPS times: `a = a op (x, y)`.
#define RUN(STEP, x, y)                                                                                                                 \
    do {                                                                                                                                \
        long loops = LOOPS;                                                                                                             \
        __asm__ volatile(EACH(ZERO) "1:\n\t" EACH(STEP) "dec %[loops]\n\tjnz 1b"                                                       \
                         : [loops] "+r"(loops)                                                                                          \
                         : [x] OPERAND(x), [y] OPERAND(y)                                                                               \
                         : CLOBBERS, "cc");                                                                                             \
    } while (0)

static void read_memory(int part, int parts) {
    const size_t count = BYTES / 4 / parts;
    const float *p = memory + count * part;
#if defined(__AVX512F__) || defined(__AVX2__)
    // Eight vectors a round, each with its accumulator.
#if defined(__AVX512F__)
#define READ(n, at) "vaddps " #at "*64(%[p]), %%zmm" #n ", %%zmm" #n "\n\t"
#else
#define READ(n, at) "vaddps " #at "*32(%[p]), %%ymm" #n ", %%ymm" #n "\n\t"
#endif
    long rounds = (long)(count * 4 / (8 * sizeof(operand)));
    __asm__ volatile(EACH(ZERO)
                     "1:\n\t" READ(8, 0) READ(9, 1) READ(10, 2) READ(11, 3) READ(12, 4) READ(13, 5) READ(14, 6) READ(15, 7)
                     "add %[step], %[p]\n\tdec %[rounds]\n\tjnz 1b"
                     : [p] "+r"(p), [rounds] "+r"(rounds)
                     : [step] "i"(8 * sizeof(operand))
                     : CLOBBERS, "cc", "memory");
#else
    float a[16] = {0};
    for (size_t i = 0; i + 16 <= count; i += 16)
        for (int j = 0; j < 16; j++) a[j] += p[i + j];
    for (int j = 0; j < 16; j++) sink = a[j];
#endif
}

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
static void fma_f32(int part, int parts) {
    const operand x = (operand){0} + (1.0f - 1e-6f * (part + parts)), y = (operand){0} + 1e-3f;
#define FMA(n) "vfmadd213ps %[y], %[x], " REGISTER #n "\n\t"
    RUN(FMA, x, y);
}
#define FMA_LANES (sizeof(operand) / 4)
#endif

#if defined(__AVX512VNNI__)
static void dot_u8_s8(int part, int parts) {
    const integers x = (integers){0} + (0x01020304 + part + parts), y = (integers){0} + 0x01010101;
#define DOT8(n) "vpdpbusd %[y], %[x], " REGISTER #n "\n\t"
    RUN(DOT8, x, y);
}
#define DOT8_ACCUMULATORS ACCUMULATORS
#define DOT8_OPS 128
#elif defined(__AVX2__)
// vpmaddubsw, vpmaddwd, vpaddd: what AVX2 has in place of VNNI, in registers of 256 bits as the engines use them. ymm3 to ymm5
// hold what is between.
static void dot_u8_s8(int part, int parts) {
    typedef int bytes __attribute__((vector_size(32)));
    const bytes x = (bytes){0} + (0x01020304 + part + parts), y = (bytes){0} + 0x01010101, one = (bytes){0} + 0x00010001;
    long loops = LOOPS;
#define DOT8(n, t)                                                                                                                      \
    "vpmaddubsw %[y], %[x], %%ymm" #t "\n\tvpmaddwd %[one], %%ymm" #t ", %%ymm" #t "\n\tvpaddd %%ymm" #t ", %%ymm" #n ", %%ymm" #n "\n\t"
    __asm__ volatile(EACH_256(ZERO_256)
                     "1:\n\t" DOT8(6, 3) DOT8(7, 4) DOT8(8, 5) DOT8(9, 3) DOT8(10, 4) DOT8(11, 5) DOT8(12, 3) DOT8(13, 4) DOT8(14, 5)
                     "dec %[loops]\n\tjnz 1b"
                     : [loops] "+r"(loops)
                     : [x] "x"(x), [y] "x"(y), [one] "x"(one)
                     : "xmm3", CLOBBERS_256, "cc");
}
#define DOT8_ACCUMULATORS 9
#define DOT8_OPS 64
#endif

#if defined(__AVX512BF16__)
static void dot_bf16(int part, int parts) {
    const integers x = (integers){0} + (0x3f803f80 + part + parts), y = x;
#define DOT16(n) "vdpbf16ps %[y], %[x], " REGISTER #n "\n\t"
    RUN(DOT16, x, y);
}
#endif

struct task { work work; int part, parts; };

static void *run_task(void *pointer) {
    struct task *task = pointer;
    task->work(task->part, task->parts);
    return NULL;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

// Least seconds that `parts` threads take, of several runs.
static double best_of(work work, int parts) {
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[64];
        struct task tasks[64];
        const double start = seconds();
        for (int i = 0; i < parts; i++) {
            tasks[i] = (struct task){work, i, parts};
            if (pthread_create(&threads[i], NULL, run_task, &tasks[i])) exit(1);
        }
        for (int i = 0; i < parts; i++) pthread_join(threads[i], NULL);
        const double took = seconds() - start;
        if (took < best) best = took;
    }
    return best;
}

int main(int argc, char **argv) {
    int most = argc > 1 ? atoi(argv[1]) : 2;
    if (most < 1 || most > 64) most = 2;
    if (posix_memalign((void **)&memory, 64, BYTES)) return 1;
    for (size_t i = 0; i < BYTES / 4; i++) memory[i] = (float)i;
    printf("{");
    for (int parts = 1; parts <= most; parts = parts < most ? most : most + 1) {
        printf("%s\"%d\": {\"dram_gb\": %.2f", parts > 1 ? ", " : "", parts, BYTES / best_of(read_memory, parts) / 1e9);
        const double loops = (double)parts * LOOPS / 1e9;
        (void)loops;
#if defined(FMA_LANES)
        printf(", \"f32_gop\": %.1f", loops * ACCUMULATORS * FMA_LANES * 2 / best_of(fma_f32, parts));
#endif
#if defined(DOT8_OPS)
        printf(", \"dot8_gop\": %.1f", loops * DOT8_ACCUMULATORS * DOT8_OPS / best_of(dot_u8_s8, parts));
#endif
#if defined(__AVX512BF16__)
        printf(", \"bf16_gop\": %.1f", loops * ACCUMULATORS * 64 / best_of(dot_bf16, parts));
#endif
        printf("}");
    }
    printf("}\n");
    return 0;
}
