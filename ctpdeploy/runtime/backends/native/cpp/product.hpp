// The matrix product that all convolutions end in.

#pragma once

#include "images.hpp"

namespace ctp {

constexpr Index COLUMNS = 16, ROWS = 6;  // of the product that stays in registers

// c[R][16] = bias + a[R][depth] b[depth][16]; half leaves out the last 8 columns.
template <Index R>
inline void product(const float* a, Index stride, const float* b, Index depth, const float* bias, float* c,
                    Index c_stride, bool half) {
    Vector sum[R][2];
    for (Index r = 0; r < R; ++r) {
        sum[r][0] = bias ? load(bias) : Vector{};
        sum[r][1] = bias ? load(bias + LANES) : Vector{};
    }
    for (Index k = 0; k < depth; ++k) {
        const Vector left = load(b + k * COLUMNS), right = load(b + k * COLUMNS + LANES);
        for (Index r = 0; r < R; ++r) {
            const Vector x = splat(a[r * stride + k]);
            sum[r][0] += x * left;
            sum[r][1] += x * right;
        }
    }
    for (Index r = 0; r < R; ++r) {
        store(c + r * c_stride, sum[r][0]);
        if (!half) store(c + r * c_stride + LANES, sum[r][1]);
    }
}

// The same for any number of rows.
inline void products(Index rows, const float* a, Index stride, const float* b, Index depth, const float* bias,
                     float* c, Index c_stride, bool half = false) {
    for (; rows >= ROWS; rows -= ROWS, a += ROWS * stride, c += ROWS * c_stride)
        product<ROWS>(a, stride, b, depth, bias, c, c_stride, half);
    switch (rows) {
        case 1: return product<1>(a, stride, b, depth, bias, c, c_stride, half);
        case 2: return product<2>(a, stride, b, depth, bias, c, c_stride, half);
        case 3: return product<3>(a, stride, b, depth, bias, c, c_stride, half);
        case 4: return product<4>(a, stride, b, depth, bias, c, c_stride, half);
        case 5: return product<5>(a, stride, b, depth, bias, c, c_stride, half);
    }
}

}  // namespace ctp
