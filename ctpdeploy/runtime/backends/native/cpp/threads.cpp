// The threads as Python makes and ends them.

#include "threads.hpp"

// Null where the system gives no more threads or memory: nothing is thrown into Python.
CTP_EXPORT ctp::Pool* ctp_pool_new(ctp::Index threads) {
    try {
        return new ctp::Pool(threads);
    } catch (...) {
        return nullptr;
    }
}

CTP_EXPORT void ctp_pool_free(ctp::Pool* pool) { delete pool; }
