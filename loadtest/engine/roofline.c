// What this machine can do at most: bytes from memory, multiply-adds in three number formats. One and two threads.
//
//   cc -O2 -march=native -pthread roofline.c -o roofline && ./roofline [threads]
//
// One JSON object on stdout: figure -> GB/s or Gop/s (a multiply-add is two), best of several runs by wall clock. What the
// CPU lacks is left out. Loops are those of the STREAM benchmark (read) and of register tiles that never leave the core.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define BYTES ((size_t)256 << 20)
#define ROUNDS 7
#define TILES 12

static float *memory;
static volatile float sink;

typedef void (*work)(int part, int parts);

// Keeps a register where it is and makes the compiler believe that it changed.
#if defined(__AVX512F__)
#define OPAQUE(x) __asm__ volatile("" : "+v"(x))
#elif defined(__AVX2__)
#define OPAQUE(x) __asm__ volatile("" : "+x"(x))
#endif

static void read_memory(int part, int parts) {
    const size_t count = BYTES / 4 / parts;
    const float *p = memory + count * part;
#if defined(__AVX512F__)
    __m512 a[8];
    for (int j = 0; j < 8; j++) a[j] = _mm512_setzero_ps();
    for (size_t i = 0; i + 128 <= count; i += 128)
        for (int j = 0; j < 8; j++) a[j] = _mm512_add_ps(a[j], _mm512_loadu_ps(p + i + 16 * j));
    for (int j = 0; j < 8; j++) sink = _mm512_reduce_add_ps(a[j]);
#elif defined(__AVX2__)
    __m256 a[8];
    for (int j = 0; j < 8; j++) a[j] = _mm256_setzero_ps();
    for (size_t i = 0; i + 64 <= count; i += 64)
        for (int j = 0; j < 8; j++) a[j] = _mm256_add_ps(a[j], _mm256_loadu_ps(p + i + 8 * j));
    for (int j = 0; j < 8; j++) sink = _mm256_cvtss_f32(a[j]);
#else
    float a[16] = {0};
    for (size_t i = 0; i + 16 <= count; i += 16)
        for (int j = 0; j < 16; j++) a[j] += p[i + j];
    for (int j = 0; j < 16; j++) sink = a[j];
#endif
}

#define LOOPS 10000000L

#if defined(__AVX512F__)
static void fma_f32(int part, int parts) {
    __m512 x = _mm512_set1_ps(1.0000001f), y = _mm512_set1_ps(1e-9f), a[TILES];
    for (int j = 0; j < TILES; j++) a[j] = _mm512_set1_ps(1.0f + part + parts);
    for (long i = 0; i < LOOPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < TILES; j++) { a[j] = _mm512_fmadd_ps(a[j], x, y); OPAQUE(a[j]); }
    for (int j = 0; j < TILES; j++) sink = _mm512_reduce_add_ps(a[j]);
}
#define FMA_LANES 16
#elif defined(__AVX2__) && defined(__FMA__)
static void fma_f32(int part, int parts) {
    __m256 x = _mm256_set1_ps(1.0000001f), y = _mm256_set1_ps(1e-9f), a[TILES];
    for (int j = 0; j < TILES; j++) a[j] = _mm256_set1_ps(1.0f + part + parts);
    for (long i = 0; i < LOOPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < TILES; j++) { a[j] = _mm256_fmadd_ps(a[j], x, y); OPAQUE(a[j]); }
    for (int j = 0; j < TILES; j++) sink = _mm256_cvtss_f32(a[j]);
}
#define FMA_LANES 8
#endif

#if defined(__AVX512VNNI__)
static void dot_u8_s8(int part, int parts) {
    __m512i x = _mm512_set1_epi32(0x01020304 + part + parts), y = _mm512_set1_epi32(0x01010101), a[TILES];
    for (int j = 0; j < TILES; j++) a[j] = _mm512_setzero_si512();
    for (long i = 0; i < LOOPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < TILES; j++) { a[j] = _mm512_dpbusd_epi32(a[j], x, y); OPAQUE(a[j]); }
    for (int j = 0; j < TILES; j++) sink = (float)_mm512_reduce_add_epi32(a[j]);
}
#define DOT8_OPS 128
#elif defined(__AVX2__)
static void dot_u8_s8(int part, int parts) { // vpmaddubsw, vpmaddwd, vpaddd: what AVX2 has in place of VNNI
    __m256i x = _mm256_set1_epi32(0x01020304 + part + parts), y = _mm256_set1_epi32(0x01010101), one = _mm256_set1_epi16(1), a[TILES];
    for (int j = 0; j < TILES; j++) a[j] = _mm256_setzero_si256();
    for (long i = 0; i < LOOPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < TILES; j++) {
            __m256i both = _mm256_maddubs_epi16(x, y);
            OPAQUE(both);
            a[j] = _mm256_add_epi32(a[j], _mm256_madd_epi16(both, one));
            OPAQUE(a[j]);
        }
    for (int j = 0; j < TILES; j++) sink = (float)_mm256_extract_epi32(a[j], 0);
}
#define DOT8_OPS 64
#endif

#if defined(__AVX512BF16__)
static void dot_bf16(int part, int parts) {
    __m512i bits = _mm512_set1_epi32(0x3f803f80 + part + parts);
    __m512bh x;
    memcpy(&x, &bits, sizeof x);
    __m512 a[TILES];
    for (int j = 0; j < TILES; j++) a[j] = _mm512_setzero_ps();
    for (long i = 0; i < LOOPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < TILES; j++) { a[j] = _mm512_dpbf16_ps(a[j], x, x); OPAQUE(a[j]); }
    for (int j = 0; j < TILES; j++) sink = _mm512_reduce_add_ps(a[j]);
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
        const double ops = (double)parts * LOOPS * TILES / 1e9;
        (void)ops;
#if defined(FMA_LANES)
        printf(", \"f32_gop\": %.1f", ops * FMA_LANES * 2 / best_of(fma_f32, parts));
#endif
#if defined(DOT8_OPS)
        printf(", \"dot8_gop\": %.1f", ops * DOT8_OPS / best_of(dot_u8_s8, parts));
#endif
#if defined(__AVX512BF16__)
        printf(", \"bf16_gop\": %.1f", ops * 64 / best_of(dot_bf16, parts));
#endif
        printf("}");
    }
    printf("}\n");
    return 0;
}
