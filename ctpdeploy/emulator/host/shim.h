// CUDA C++ on the CPU, as far as kernels.cu uses it: the same source, compiled as C++20, proved without a GPU.
//
// Each CUDA thread is a fiber of one operating-system thread and runs until it waits: at a barrier for its block, in a
// shuffle for its warp. Blocks run one after the other. `backwards` runs threads and blocks from last to first, so that
// what depends on their order, as after a forgotten barrier, changes a result. A barrier or a shuffle that not all
// threads concerned reach, which a GPU need not notice, is an error here.
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#pragma GCC visibility push(hidden)  // two such libraries in one process stay apart

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ static /* one block at a time */
#define SHIM_SWITCH __attribute__((noinline, no_sanitize("address"))) /* it leaves a stack to come back */
#define DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(shim::dynamic_shared)

struct dim3 {
    unsigned x, y, z;
};
struct alignas(8) short4 {
    short x, y, z, w;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(16) float4 {
    float x, y, z, w;
};

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace shim {

// The compiler's own setjmp and longjmp make no system call, and sanitizers take no offence; they must not stand in one
// function.
using Place = void* [5];
[[noreturn]] SHIM_SWITCH inline void jump(Place& place) { __builtin_longjmp(place, 1); }

enum class State { READY, AT_BARRIER, IN_SHUFFLE, DONE };

struct Fiber {
    static constexpr size_t STACK = 64 * 1024;
    std::unique_ptr<char[]> stack{new char[STACK]};
    Place place;
    bool begun = false;
    State state = State::READY;
    unsigned turn = 0;     // a lane may begin a shuffle while another still reads the last one:
    int64_t offered[2]{};  // two places for what it offers, in turns
    void* fake_stack = nullptr;
};

inline std::vector<Fiber> fibers;
inline Fiber* current = nullptr;
inline Place scheduler;
inline std::function<void()> kernel;
inline char* dynamic_shared = nullptr;
inline bool backwards = false;

#if defined(__SANITIZE_ADDRESS__)
inline void* scheduler_fake_stack = nullptr;
inline const void* scheduler_stack = nullptr;
inline size_t scheduler_stack_size = 0;
inline void leave_for_scheduler() {
    __sanitizer_start_switch_fiber(&current->fake_stack, scheduler_stack, scheduler_stack_size);
}
inline void arrived_in_fiber() {
    __sanitizer_finish_switch_fiber(current->fake_stack, &scheduler_stack, &scheduler_stack_size);
}
inline void leave_for_fiber() {
    __sanitizer_start_switch_fiber(&scheduler_fake_stack, current->stack.get(), Fiber::STACK);
}
inline void arrived_in_scheduler() { __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr); }
#else
inline void leave_for_scheduler() {}
inline void arrived_in_fiber() {}
inline void leave_for_fiber() {}
inline void arrived_in_scheduler() {}
#endif

// In a fiber: wait until the scheduler resumes it.
SHIM_SWITCH inline void wait_as(State state) {
    current->state = state;
    leave_for_scheduler();
    if (__builtin_setjmp(current->place) == 0) jump(scheduler);
    arrived_in_fiber();
}

inline void fiber_main() {
    arrived_in_fiber();
    for (;;) {
        kernel();
        wait_as(State::DONE);
    }
}

// In the scheduler: run a fiber until it waits. Only its first entry costs a system call.
SHIM_SWITCH inline void resume(Fiber& fiber, unsigned thread) {
    current = &fiber;
    fiber.state = State::READY;
    threadIdx = {thread, 0, 0};
    if (__builtin_setjmp(scheduler) == 0) {
        leave_for_fiber();
        if (fiber.begun) jump(fiber.place);
        fiber.begun = true;
        ucontext_t context;
        getcontext(&context);
        context.uc_stack.ss_sp = fiber.stack.get();
        context.uc_stack.ss_size = Fiber::STACK;
        makecontext(&context, fiber_main, 0);
        setcontext(&context);
    }
    arrived_in_scheduler();
}

// Run a warp until all its lanes are at the barrier or done; false if its lanes part.
inline bool run_warp(unsigned first) {
    for (;;) {
        for (unsigned i = 0; i < 32; ++i) {
            const unsigned thread = first + (backwards ? 31 - i : i);
            resume(fibers[thread], thread);
        }
        for (unsigned lane = 1; lane < 32; ++lane) {
            if (fibers[first + lane].state != fibers[first].state) return false;
        }
        if (fibers[first].state != State::IN_SHUFFLE) return true;
    }
}

inline bool run_block() {
    const unsigned warps = blockDim.x / 32;
    do {
        for (unsigned i = 0; i < warps; ++i) {
            if (!run_warp(32 * (backwards ? warps - 1 - i : i))) return false;
        }
        for (unsigned warp = 1; warp < warps; ++warp) {
            if (fibers[32 * warp].state != fibers[0].state) return false;
        }
    } while (fibers[0].state != State::DONE);
    return true;
}

// Null, or what is wrong with the launch or the kernel.
inline const char* run_grid(dim3 grid, dim3 block, size_t shared_bytes) {
    if (block.x % 32 != 0 || block.x == 0 || block.y != 1 || block.z != 1) return "its blocks are no rows of warps";
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return "its grid is empty";
    if (grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535) return "its grid is too large";
    if (block.x > 1024 || shared_bytes > 48 * 1024) return "its blocks are too large";
    const std::unique_ptr<char[]> shared{new char[shared_bytes]};  // of that size, so that a sanitizer sees its end
    dynamic_shared = shared.get();
    gridDim = grid;
    blockDim = block;
    if (fibers.size() < block.x) fibers.resize(block.x);
    const size_t blocks = size_t{grid.x} * grid.y * grid.z;
    for (size_t i = 0; i < blocks; ++i) {
        const size_t number = backwards ? blocks - 1 - i : i;
        blockIdx.x = number % grid.x;
        blockIdx.y = number / grid.x % grid.y;
        blockIdx.z = number / grid.x / grid.y;
        if (shared_bytes > 0) memset(dynamic_shared, 0xff, shared_bytes);
        if (!run_block()) {
            fibers.clear();  // they stand in the middle of the kernel
            return "not all threads reach the same barrier or shuffle";
        }
    }
    return nullptr;
}

// One letter a parameter, as in Python's struct module; P is a pointer.
template <class T>
constexpr char letter_of() {
    if constexpr (std::is_pointer_v<T>) return 'P';
    else if constexpr (std::is_same_v<T, int>) return 'i';
    else if constexpr (std::is_same_v<T, long long>) return 'q';
    else if constexpr (std::is_same_v<T, float>) return 'f';
    else if constexpr (std::is_same_v<T, double>) return 'd';
}

struct Kernel {
    std::string name, parameters;
    std::function<void(void**)> call;
};

template <class... Parameters>
Kernel described(const char* name, void (*function)(Parameters...)) {
    const auto call = [function](void** arguments) {
        [&]<size_t... i>(std::index_sequence<i...>) {
            function(*static_cast<Parameters*>(arguments[i])...);
        }(std::index_sequence_for<Parameters...>{});
    };
    return {name, {letter_of<Parameters>()...}, call};
}

}  // namespace shim

inline void __syncthreads() { shim::wait_as(shim::State::AT_BARRIER); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int lanes) {
    shim::Fiber* const mine = shim::current;
    shim::Fiber* const other = &shim::fibers[threadIdx.x ^ lanes];
    const unsigned turn = mine->turn;
    memcpy(&mine->offered[turn], &value, sizeof value);
    mine->turn ^= 1;
    shim::wait_as(shim::State::IN_SHUFFLE);
    memcpy(&value, &other->offered[turn], sizeof value);
    return value;
}

template <class T>
T atomicAdd(T* address, T value) {
    const T old = *address;
    *address = old + value;
    return old;
}

inline int atomicOr(int* address, int value) {
    const int old = *address;
    *address = old | value;
    return old;
}

template <class To, class From>
To shim_bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    memcpy(&result, &value, sizeof result);
    return result;
}
inline float __int_as_float(int value) { return shim_bits<float>(value); }
inline int __float_as_int(float value) { return shim_bits<int>(value); }
inline unsigned __float_as_uint(float value) { return shim_bits<unsigned>(value); }

#pragma GCC visibility pop
