// The threads as Python makes and ends them.

#include "threads.hpp"

CTP_EXPORT ctp::Pool* ctp_pool_new(ctp::Index threads) { return new ctp::Pool(threads); }
CTP_EXPORT void ctp_pool_free(ctp::Pool* pool) { delete pool; }
