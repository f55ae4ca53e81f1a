// The weights of convolutions in the order in which kernels read them.

#include <algorithm>

#include "product.hpp"
#include "threads.hpp"
#include "winograd.hpp"

namespace ctp {

// Weights of a convolution, [output][input][taps], as the kernels read them: [panel][taps][channel][16], or with
// frequencies in the place of the taps of a 3x3 convolution. Input i is channel places[i] of depth; the rest stays.
CTP_EXPORT bool ctp_pack(Pool* pool, const float* weights, Index outputs, Index inputs, Index taps, const Index* places,
                         Index depth, Index winograd, float* packed) {
    return pool->run((outputs + COLUMNS - 1) / COLUMNS, [&](Index panel) {
        const Index step = depth * COLUMNS, first = panel * COLUMNS, last = std::min(first + COLUMNS, outputs);
        float* out = packed + panel * (winograd ? FREQUENCIES : taps) * step;
        for (Index i = 0; i < inputs; ++i)
            for (Index o = first; o < last; ++o) {
                const float* kernel = weights + (o * inputs + i) * taps;
                float* to = out + places[i] * COLUMNS + o - first;
                if (winograd)
                    kernel_to_frequencies(kernel, to, step);
                else
                    for (Index tap = 0; tap < taps; ++tap) to[tap * step] = kernel[tap];
            }
    });
}

}  // namespace ctp
