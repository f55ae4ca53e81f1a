// The threads that share the work of a kernel, and their memory.

#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "images.hpp"

namespace ctp {

// Threads that wait for work. One call at a time uses them.
class Pool {
  public:
    explicit Pool(Index threads) {
        for (Index i = 1; i < threads; ++i) workers_.emplace_back([this] { serve(); });
    }

    ~Pool() {
        {
            std::lock_guard lock(mutex_);
            ending_ = true;
        }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    // Does task 0 to count - 1, each once, in whichever thread is free; false if memory ran out.
    bool run(Index count, const std::function<void(Index)>& task) {
        {
            std::lock_guard lock(mutex_);
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
    void work() {
        try {
            for (Index i = next_++; i < count_; i = next_++) (*task_)(i);
        } catch (const std::bad_alloc&) {
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
    const std::function<void(Index)>* task_ = nullptr;
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
