// Fewer pixels by max-pooling, and more by repeating them.

#include <algorithm>

#include "threads.hpp"

namespace ctp {

// The largest value of each window; what lies outside does not count.
CTP_EXPORT bool ctp_max_pool(Pool* pool, const Source* source, const Window* window, float* out, Index height,
                             Index width) {
    return pool->run(height, [&](Index row) {
        float* to = out + row * width * source->channels;
        for (Index column = 0; column < width; ++column, to += source->channels) {
            const Index top = row * window->stride - window->padding, left = column * window->stride - window->padding;
            bool first = true;
            for (Index y = std::max(top, Index{0}); y < std::min(top + window->rows, window->height); ++y)
                for (Index x = std::max(left, Index{0}); x < std::min(left + window->columns, window->width); ++x) {
                    each_vector(*source, source->data + (y * window->width + x) * source->channels,
                                [&](Index c, Vector v) {
                                    const Vector most = load(to + c);
                                    store(to + c, first || v > most ? v : most);
                                });
                    first = false;
                }
        }
    });
}

// Twice as many rows and columns, each pixel four times; the scale, the shift and the ReLU are left to the reader.
CTP_EXPORT bool ctp_upsample2x(Pool* pool, const Source* source, Index height, Index width, float* out) {
    const Index channels = source->channels;
    return pool->run(2 * height, [&](Index row) {
        for (Index column = 0; column < 2 * width; ++column)
            std::copy_n(source->data + (row / 2 * width + column / 2) * channels, channels,
                        out + (row * 2 * width + column) * channels);
    });
}

}  // namespace ctp
