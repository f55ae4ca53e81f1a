// The functions that any processor can run: the hash of the sources, and whether the kernels run here.

#ifdef __AVX__
#error "The check for AVX2 has to run without AVX2: compile this file without -mavx2."
#endif

#define CTP_EXPORT extern "C" __attribute__((visibility("default")))

// SHA-256 of the sources when they were compiled.
CTP_EXPORT const char* ctp_version() { return CTP_VERSION; }

// Whether this processor has the instructions that the other files are compiled for.
CTP_EXPORT int ctp_supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
