// The AVX2 kernels' inner loops in C: 8 unpacked blocks of 16 rows times 24 groups of 4 tokens, over 64 blocks of columns.
// Nothing is unpacked, quantised or moved to a result matrix: what a compiler makes of the loop alone bounds the kernel.
//
//     clang -O2 -mavx2 -mfma bench/bounds/loops.c -o loops && ./loops
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCKS = 64, PIECE = 8, GROUPS = 24, RECORD = 48, LINE = 64, BLOCK = 18 * LINE, RUNS = 1500 };
typedef __m256i Ints;
typedef __m256 Floats;

static char *weights, *activations, *results;
// Counts that the compiler does not know: it would unroll until registers no longer suffice.
static volatile int four = 4, eight = 8;

static Ints load(const char *p) { return _mm256_loadu_si256((const Ints *)p); }
static Ints word(const char *p) { return _mm256_set1_epi32(*(const int *)p); }

// A block's float work: results += float(sums) * (weight scales * activation scale).
static inline void finish(const char *block, const char *x, char *out, const Ints *low, const Ints *high) {
  for (int t = 0; t < 4; t++) {
    float *o = (float *)(out + t * LINE);
    Floats scale = _mm256_set1_ps(*(const float *)(x + t * RECORD));
    Floats a = _mm256_mul_ps(_mm256_loadu_ps((const float *)block), scale);
    Floats b = _mm256_mul_ps(_mm256_loadu_ps((const float *)(block + 32)), scale);
    _mm256_storeu_ps(o, _mm256_fmadd_ps(_mm256_cvtepi32_ps(low[t]), a, _mm256_loadu_ps(o)));
    _mm256_storeu_ps(o + 8, _mm256_fmadd_ps(_mm256_cvtepi32_ps(high[t]), b, _mm256_loadu_ps(o + 8)));
  }
}

// Unsigned nibbles times signed bytes, a whole block in 16-bit lanes.
static inline void q4_0(const char *block, const char *x, char *out) {
  Ints low[4], high[4], ones = _mm256_set1_epi16(1);
  for (int t = 0; t < 4; t++) low[t] = high[t] = word(x + t * RECORD + 4);
  for (int j = 0, n = eight; j < n; j++) {
    const char *line = block + (1 + j) * LINE;
    Ints a = load(line), b = load(line + 32);
    for (int t = 0; t < 4; t++) {
      Ints q = word(x + t * RECORD + 16 + 4 * j);
      low[t] = _mm256_add_epi16(low[t], _mm256_maddubs_epi16(a, q));
      high[t] = _mm256_add_epi16(high[t], _mm256_maddubs_epi16(b, q));
    }
  }
  for (int t = 0; t < 4; t++) {
    low[t] = _mm256_madd_epi16(low[t], ones);
    high[t] = _mm256_madd_epi16(high[t], ones);
  }
  finish(block, x, out, low, high);
}

// Q8_0: both sides widened to 16 bits.
static inline void q8_0(const char *block, const char *x, char *out) {
  Ints low[4], high[4];
  for (int t = 0; t < 4; t++) low[t] = high[t] = _mm256_setzero_si256();
  for (int j = 0, n = eight; j < n; j++) {
    for (int half = 0; half < 2; half++) {
      const char *line = block + (1 + 2 * j + half) * LINE;
      Ints a = load(line), b = load(line + 32);
      for (int t = 0; t < 4; t++) {
        Ints q = word(x + t * RECORD + 4 * (j & 3) + 16 * half);
        low[t] = _mm256_add_epi32(low[t], _mm256_madd_epi16(a, q));
        high[t] = _mm256_add_epi32(high[t], _mm256_madd_epi16(b, q));
      }
    }
  }
  finish(block, x, out, low, high);
}

// Q8_0 with limited sums: four unsigned activations at a time in 16-bit lanes, half a block in each.
static inline void limited(const char *block, const char *x, char *out) {
  Ints sumLow[4], sumHigh[4], ones = _mm256_set1_epi16(1);
  for (int t = 0; t < 4; t++) sumLow[t] = sumHigh[t] = _mm256_setzero_si256();
  for (int half = 0; half < 2; half++) {
    const char *lines = block + (1 + 5 * half) * LINE;
    Ints low[4], high[4];
    for (int t = 0; t < 4; t++) low[t] = load(lines), high[t] = load(lines + 32);
    for (int j = 0, n = four; j < n; j++) {
      Ints a = load(lines + (1 + j) * LINE), b = load(lines + (1 + j) * LINE + 32);
      for (int t = 0; t < 4; t++) {
        Ints q = word(x + t * RECORD + 16 + 16 * half + 4 * j);
        low[t] = _mm256_add_epi16(low[t], _mm256_maddubs_epi16(q, a));
        high[t] = _mm256_add_epi16(high[t], _mm256_maddubs_epi16(q, b));
      }
    }
    for (int t = 0; t < 4; t++) {
      sumLow[t] = _mm256_add_epi32(sumLow[t], _mm256_madd_epi16(low[t], ones));
      sumHigh[t] = _mm256_add_epi32(sumHigh[t], _mm256_madd_epi16(high[t], ones));
    }
  }
  finish(block, x, out, sumLow, sumHigh);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

#define MEASURE(kernel)                                                                                    \
  do {                                                                                                     \
    double best = 1e9;                                                                                     \
    for (int run = 0; run < RUNS; run++) {                                                                 \
      double start = seconds();                                                                            \
      for (int first = 0; first < BLOCKS; first += PIECE)                                                  \
        for (int group = 0; group < GROUPS; group++)                                                       \
          for (int b = 0; b < PIECE; b++)                                                                  \
            kernel(                                                                                        \
                weights + b * BLOCK, activations + ((group * BLOCKS + first + b) * 4) * RECORD,            \
                results + group * 4 * LINE);                                                               \
      double time = seconds() - start;                                                                     \
      if (time < best) best = time;                                                                        \
    }                                                                                                      \
    printf("%-8s %4.0f GOPS\n", #kernel, 2.0 * BLOCKS * 32 * 16 * GROUPS * 4 / best * 1e-9);               \
  } while (0)

int main(void) {
  size_t count = (size_t)GROUPS * BLOCKS * 4 * RECORD + 64;
  weights = aligned_alloc(64, PIECE * BLOCK);
  activations = aligned_alloc(64, (count + 63) / 64 * 64);
  results = aligned_alloc(64, GROUPS * 4 * LINE);
  if (!weights || !activations || !results) return 1;
  // Bytes that are neither zeros nor, read as scales, subnormal floats.
  memset(weights, 0x3c, PIECE * BLOCK);
  memset(activations, 0x3c, count);
  memset(results, 0, GROUPS * 4 * LINE);
  MEASURE(q4_0);
  MEASURE(q8_0);
  MEASURE(limited);
  return 0;
}
