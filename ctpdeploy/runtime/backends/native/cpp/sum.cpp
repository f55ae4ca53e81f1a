// Sums of images.

#include "threads.hpp"

namespace ctp {

// The sum of images.
CTP_EXPORT bool ctp_add(Pool* pool, const Source* sources, Index count, Index height, Index width, float* out) {
    return pool->run(height, [&](Index row) {
        const Index channels = sources->channels, begin = row * width * channels;
        for (Index at = begin; at < begin + width * channels; at += channels)
            for (Index s = 0; s < count; ++s)
                each_vector(sources[s], sources[s].data + at, [&](Index c, Vector v) {
                    store(out + at + c, s == 0 ? v : load(out + at + c) + v);
                });
    });
}

}  // namespace ctp
