/* The true operand of `_tile_loadconfig` for compilers whose own header has a shorter one.
 *
 * The instruction `ldtilecfg` reads 64 bytes. The header of gcc 12.2 tells the compiler of the first 8 only, so that it
 * leaves out the stores of the others, and the processor refuses what is there then (general protection, seen as SIGSEGV).
 * Later versions have a builtin instead (gcc's bug 114098); where there is that builtin, this header does nothing.
 *
 * To be included before anything else (`-include`).
 */
#ifndef PRECIS_TILE_CONFIG_H
#define PRECIS_TILE_CONFIG_H

#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#if !__has_builtin(__builtin_ia32_ldtilecfg)

/* The compiler's own definition comes first, and nothing includes it again. */
#include <immintrin.h>

struct precis_tile_config {
    unsigned char bytes[64];
};

static __inline__ __attribute__((__always_inline__, __unused__)) void precis_load_tile_config(const void *config) {
    __asm__ volatile("ldtilecfg %0" : : "m"(*(const struct precis_tile_config *)config));
}

#define _tile_loadconfig(config) precis_load_tile_config(config)

#endif
#endif
#endif
