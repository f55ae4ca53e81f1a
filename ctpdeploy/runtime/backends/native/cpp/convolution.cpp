// Convolutions of any size as matrix products of gathered windows.

#include <algorithm>

#include "product.hpp"
#include "threads.hpp"

namespace ctp {
namespace {

// The window's values of output pixels [0, across) of a row, stride apart: [tap][channel of all sources].
void gather(const Source* sources, Index count, const Window& window, Index row, Index across, float* out,
            Index stride) {
    for (Index column = 0; column < across; ++column, out += stride) {
        float* to = out;
        for (Index i = 0; i < window.rows; ++i)
            for (Index j = 0; j < window.columns; ++j) {
                const Index y = row * window.stride + i - window.padding;
                const Index x = column * window.stride + j - window.padding;
                const bool there = y >= 0 && y < window.height && x >= 0 && x < window.width;
                for (Index s = 0; s < count; to += sources[s++].channels) {
                    if (there)
                        each_vector(sources[s], sources[s].data + (y * window.width + x) * sources[s].channels,
                                    [&](Index c, Vector v) { store(to + c, v); });
                    else
                        std::fill_n(to, sources[s].channels, 0.0f);
                }
            }
    }
}

}  // namespace

// Any convolution but those of winograd.cpp, and the four of 1x1 that make a transposed one of 2x2 with stride 2.
// Weights [set][panel][tap][channel][16]; each set makes height x width pixels, out_row and out_pixel values apart, the
// second set those half an out_pixel to the right, the third and the fourth those half an out_row below.
CTP_EXPORT bool ctp_convolve(Pool* pool, const Source* sources, Index count, const Window* window, const float* weights,
                             const float* bias, Index sets, float* out, Index height, Index width, Index channels,
                             Index out_row, Index out_pixel) {
    constexpr Index PIXELS = 64, CHANNELS = 128;  // of a task, about
    Index depth = 0;
    for (Index s = 0; s < count; ++s) depth += sources[s].channels;
    depth *= window->rows * window->columns;
    const bool direct = window->single() && count == 1 && !sources->scale && !sources->relu;
    const Index stride = direct ? depth : depth + COLUMNS;  // see ctp_convolve_3x3
    const Index rows = (PIXELS + width - 1) / width, groups = (height + rows - 1) / rows;
    const Index set = (channels + COLUMNS - 1) / COLUMNS * COLUMNS * depth;
    return pool->run(groups * ((channels + CHANNELS - 1) / CHANNELS), [&](Index task) {
        const Index first = task % groups * rows, last = std::min(first + rows, height);
        const Index from = task / groups * CHANNELS, to = std::min(from + CHANNELS, channels);
        const float* seen = direct ? sources->data + first * width * depth : nullptr;
        if (!direct) {
            float* gathered = scratch((last - first) * width * stride, 0);
            for (Index row = first; row < last; ++row)
                gather(sources, count, *window, row, width, gathered + (row - first) * width * stride, stride);
            seen = gathered;
        }
        for (Index s = 0; s < sets; ++s)
            for (Index c = from; c < to; c += COLUMNS)
                for (Index row = first; row < last; ++row)
                    products(width, seen + (row - first) * width * stride, stride, weights + s * set + c * depth, depth,
                             bias + c, out + row * out_row + s / 2 * (out_row / 2) + s % 2 * (out_pixel / 2) + c,
                             out_pixel, to - c < COLUMNS);
    });
}

}  // namespace ctp
