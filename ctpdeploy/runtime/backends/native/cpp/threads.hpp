// The threads that share the work of a kernel, and their memory.

#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "images.hpp"

// The first version of this function in libstdc++ in the place of that of GCC 12, which it would be where GCC is newer
// than 11: the one thing for which a library compiled there would ask for systems of 2022.
#if defined(__GLIBCXX__) && defined(__linux__) && defined(__x86_64__)
#define CTP_WAIT "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE"
__asm__(".symver " CTP_WAIT ", " CTP_WAIT "@GLIBCXX_3.4.11");
#undef CTP_WAIT
#endif

namespace ctp {

// Threads that wait for work. One call at a time uses them.
class Pool {
  public:
    // Throws std::system_error or std::bad_alloc, and then no thread is left.
    explicit Pool(Index threads) {
        try {
            for (Index i = 1; i < threads; ++i) workers_.emplace_back([this] { serve(); });
        } catch (...) {
            end();
            throw;
        }
    }

    ~Pool() { end(); }

    // Does task 0 to count - 1, each once, in whichever thread is free; false if memory ran out.
    template <typename Task>
    bool run(Index count, const Task& task) {
        {
            std::lock_guard lock(mutex_);
            call_ = [](const void* task, Index i) { (*static_cast<const Task*>(task))(i); };
            task_ = &task;
            failed_ = false;
            count_ = count;
            next_ = 0;
            busy_ = Index(workers_.size());
            ++round_;
        }
        wake_.notify_all();
        work();
        std::unique_lock lock(mutex_);
        done_.wait(lock, [this] { return busy_ == 0; });
        return !failed_;
    }

  private:
    void end() {
        {
            std::lock_guard lock(mutex_);
            ending_ = true;
        }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    void work() {
        try {
            for (Index i = next_++; i < count_; i = next_++) call_(task_, i);
        } catch (...) {  // of memory, which is all that is asked for
            failed_ = true;
        }
    }

    void serve() {
        for (Index seen = 0;;) {
            {
                std::unique_lock lock(mutex_);
                wake_.wait(lock, [&] { return ending_ || round_ != seen; });
                if (ending_) return;
                seen = round_;
            }
            work();
            std::lock_guard lock(mutex_);
            if (--busy_ == 0) done_.notify_one();
        }
    }

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    void (*call_)(const void*, Index) = nullptr;  // a task as plain pointers: std::function may ask for memory
    const void* task_ = nullptr;
    std::atomic<Index> next_{0};
    std::atomic<bool> failed_{false};
    Index count_ = 0, busy_ = 0, round_ = 0;
    bool ending_ = false;
};

// Memory of a thread, as much as it was ever asked for; there are two of them. Throws std::bad_alloc.
inline float* scratch(Index size, int which) {
    struct alignas(64) Line {
        float values[16];
    };
    thread_local std::vector<Line> memory[2];
    const std::size_t lines = (size + 15) / 16;
    if (memory[which].size() < lines) memory[which] = std::vector<Line>(lines);
    return memory[which].data()->values;
}

}  // namespace ctp
