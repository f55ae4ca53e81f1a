// Mean and variance of each channel, for Switchable Normalization and Squeeze-and-Excitation.

#include <algorithm>
#include <vector>

#include "threads.hpp"

namespace ctp {

// Mean and variance of each channel, [2][channels].
CTP_EXPORT bool ctp_moments(Pool* pool, const Source* source, Index height, Index width, double* out) try {
    const Index channels = source->channels;
    std::vector<float> origin(channels);  // sums are of differences from the first pixel, so that little cancels
    each_vector(*source, source->data, [&](Index c, Vector v) { store(&origin[c], v); });
    std::vector<double> sums(height * 2 * channels);
    const bool done = pool->run(height, [&](Index row) {
        float* sum = scratch(2 * channels, 0);
        std::fill_n(sum, 2 * channels, 0.0f);
        for (Index column = 0; column < width; ++column)
            each_vector(*source, source->data + (row * width + column) * channels, [&](Index c, Vector v) {
                const Vector x = v - load(&origin[c]);
                store(sum + c, load(sum + c) + x);
                store(sum + channels + c, load(sum + channels + c) + x * x);
            });
        std::copy_n(sum, 2 * channels, &sums[row * 2 * channels]);
    });
    const double pixels = double(height) * double(width);
    for (Index c = 0; c < channels; ++c) {
        double first = 0, second = 0;
        for (Index row = 0; row < height; ++row) {
            first += sums[row * 2 * channels + c];
            second += sums[(row * 2 + 1) * channels + c];
        }
        out[c] = origin[c] + first / pixels;
        out[channels + c] = std::max(0.0, (second - first * first / pixels) / pixels);
    }
    return done;
} catch (const std::bad_alloc&) {
    return false;
}

}  // namespace ctp
