// The kernels as a shared library, called through ctypes as the CUDA driver is: by name, with pointers to arguments.
#include "kernels.cu"

#define KERNEL(name) shim::described(#name, name)
static const shim::Kernel KERNELS[] = {
    KERNEL(intensity_short),       KERNEL(intensity_float),       KERNEL(frame_sums),     KERNEL(count_digits),
    KERNEL(select_digit),          KERNEL(scale_short),           KERNEL(scale_float),    KERNEL(resample),
    KERNEL(scale_resampled_short), KERNEL(scale_resampled_float), KERNEL(flag_nonfinite), KERNEL(mask_above),
};

static const shim::Kernel* find(const char* name) {
    for (const auto& kernel : KERNELS) {
        if (kernel.name == name) return &kernel;
    }
    return nullptr;
}

extern "C" {

// Letters of the parameters of a kernel; null if there is none of that name.
const char* shim_parameters(const char* name) {
    const auto* kernel = find(name);
    return kernel ? kernel->parameters.c_str() : nullptr;
}

// Null, or what is wrong.
const char* shim_launch(const char* name, const unsigned* grid, const unsigned* block, size_t shared_bytes,
                        void** arguments, int backwards) {
    const auto* kernel = find(name);
    shim::backwards = backwards;
    shim::kernel = [=] { kernel->call(arguments); };
    return shim::run_grid({grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared_bytes);
}

void* shim_allocate(size_t bytes) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 256, bytes) != 0) return nullptr;
    return memset(memory, 0xff, bytes);  // read before it is written, it is NaN or -1
}

void shim_free(void* memory) { free(memory); }
}
