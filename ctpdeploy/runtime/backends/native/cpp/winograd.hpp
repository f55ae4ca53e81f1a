// The transforms of Winograd's F(4x4, 3x3) with the points 0, +-3/4, +-3/2 and infinity, which round a fourth of what
// the textbook's 0, +-1, +-2 do. With a sum over the channels after the product, each tile d of 6 x 6 pixels and each
// kernel g make 4 x 4 pixels
//     A^T ((G g G^T) * (B^T d B)) A
// where row j of G is (1, p_j, p_j^2) / prod_l (p_j - p_l), the last (0, 0, 1), and A and B follow likewise from Toom
// and Cook's interpolation at the points p.

#pragma once

#include "images.hpp"

namespace ctp {

constexpr Index TAPS = 6, FREQUENCIES = TAPS * TAPS, TILE = 4;

constexpr float P = 0.75f, Q = 1.5f, PP = P * P, QQ = Q * Q;

// G g G^T: from a 3x3 kernel to its frequencies, in float64.
inline void kernel_to_frequencies(const float* g, float* out, Index step) {
    constexpr double POINTS[] = {0, P, -P, Q, -Q};
    double half[TAPS][3];
    const auto row = [&](Index j, const auto& value) {
        if (j == TAPS - 1) return double(value(2));
        double product = 1;
        for (Index l = 0; l < TAPS - 1; ++l)
            if (l != j) product *= POINTS[j] - POINTS[l];
        return (value(0) + POINTS[j] * (value(1) + POINTS[j] * value(2))) / product;
    };
    for (Index i = 0; i < TAPS; ++i)
        for (Index j = 0; j < 3; ++j) half[i][j] = row(i, [&](Index k) { return double(g[3 * k + j]); });
    for (Index i = 0; i < TAPS; ++i)
        for (Index j = 0; j < TAPS; ++j)
            out[(i * TAPS + j) * step] = float(row(j, [&](Index k) { return half[i][k]; }));
}

// B^T d: from 6 neighbouring values to 6 frequencies.
inline void to_frequencies(const Vector d[TAPS], Vector t[TAPS]) {
    const Vector even_q = d[4] - QQ * d[2], odd_q = P * (d[3] - QQ * d[1]);
    const Vector even_p = d[4] - PP * d[2], odd_p = Q * (d[3] - PP * d[1]);
    t[0] = (PP * QQ) * d[0] + even_q - PP * d[2];
    t[1] = even_q + odd_q;
    t[2] = even_q - odd_q;
    t[3] = even_p + odd_p;
    t[4] = even_p - odd_p;
    t[5] = (PP * QQ) * d[1] - (PP + QQ) * d[3] + d[5];
}

// A^T m: from 6 frequencies to 4 neighbouring values.
inline void from_frequencies(const Vector m[TAPS], Vector y[TILE]) {
    const Vector even_p = m[1] + m[2], odd_p = m[1] - m[2], even_q = m[3] + m[4], odd_q = m[3] - m[4];
    y[0] = m[0] + even_p + even_q;
    y[1] = P * odd_p + Q * odd_q;
    y[2] = PP * even_p + QQ * even_q;
    y[3] = (PP * P) * odd_p + (QQ * Q) * odd_q + m[5];
}

}  // namespace ctp
