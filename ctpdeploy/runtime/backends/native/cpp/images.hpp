// Images, and what kernels read of them.
//
// An image is float32 [row][column][channel], its channels a multiple of 8, those too many zero. Kernels read images as
// Sources: max(scale * x + shift, 0), so that a normalisation and its ReLU cost no pass of their own. Several Sources
// stand for their channels one after the other, so that a concatenation costs none.

#pragma once

#include <immintrin.h>

#include <cstddef>

// The functions that Python calls; all else is hidden.
#define CTP_EXPORT extern "C" __attribute__((visibility("default")))

namespace ctp {

using Index = std::ptrdiff_t;

constexpr Index LANES = 8;  // of a vector

using Vector = float __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector x) { *reinterpret_cast<Vector*>(to) = x; }
inline Vector splat(float x) { return Vector{x, x, x, x, x, x, x, x}; }
inline Vector positive(Vector x) { return _mm256_max_ps(Vector{}, x); }  // NaN stays NaN

// An image with a scale and a shift of each channel, or null for none, and then ReLU or not.
struct Source {
    const float* data;
    const float* scale;
    const float* shift;
    Index channels;
    Index relu;
};

// The windows of a convolution or a pooling: an image's size, and the kernel's with its stride and padding.
struct Window {
    Index height, width, rows, columns, stride, padding;
    bool single() const { return rows == 1 && columns == 1 && stride == 1 && padding == 0; }
};

// Values of a source from a pixel on, ready to use.
template <typename Use>
inline void each_vector(const Source& source, const float* pixel, Use use) {
    for (Index c = 0; c < source.channels; c += LANES) {
        Vector x = load(pixel + c);
        if (source.scale) x = load(source.scale + c) * x + load(source.shift + c);
        use(c, source.relu ? positive(x) : x);
    }
}

}  // namespace ctp
