// Every kernel once, in four threads, on images of odd sizes in memory of exactly their size, for the sanitizers.
// With "overflow" the last row is missing from an output, with "race" two callers write the same one.

#include <string>
#include <thread>
#include <vector>

#include "images.hpp"

using ctp::Index;
using ctp::Source;
using ctp::Window;

namespace ctp {
class Pool;
}

extern "C" {
ctp::Pool* ctp_pool_new(Index);
void ctp_pool_free(ctp::Pool*);
bool ctp_pack(ctp::Pool*, const float*, Index, Index, Index, const Index*, Index, Index, float*);
bool ctp_convolve_3x3(ctp::Pool*, const Source*, Index, Index, Index, const float*, const float*, float*, Index);
bool ctp_convolve(ctp::Pool*, const Source*, Index, const Window*, const float*, const float*, Index, float*, Index,
                  Index, Index, Index, Index);
bool ctp_max_pool(ctp::Pool*, const Source*, const Window*, float*, Index, Index);
bool ctp_moments(ctp::Pool*, const Source*, Index, Index, double*);
bool ctp_add(ctp::Pool*, const Source*, Index, Index, Index, float*);
bool ctp_upsample2x(ctp::Pool*, const Source*, Index, Index, float*);
}

namespace {

using Floats = std::vector<float>;

Index rounded_up(Index size, Index unit) { return (size + unit - 1) / unit * unit; }

Floats drawn(Index size) {
    thread_local unsigned state = 1;
    Floats values(size);
    for (float& value : values) value = float((state = state * 1664525u + 1013904223u) >> 8) / float(1 << 24) - 0.5f;
    return values;
}

// Packed weights of a convolution of the first inputs of depth channels, and its bias.
struct Packed {
    Packed(ctp::Pool* pool, Index outputs, Index inputs, Index taps, Index depth, bool winograd)
        : weights(rounded_up(outputs, 16) * (winograd ? 36 : taps) * depth), bias(drawn(rounded_up(outputs, 16))) {
        std::vector<Index> places(inputs);
        for (Index i = 0; i < inputs; ++i) places[i] = i;
        ctp_pack(pool, drawn(outputs * inputs * taps).data(), outputs, inputs, taps, places.data(), depth, winograd,
                 weights.data());
    }
    Floats weights, bias;
};

// Kernels on images of so many channels, a multiple of 8, and of an odd size.
bool all_kernels(ctp::Pool* pool, Index height, Index width, Index channels, Index outputs) {
    const Index pixels = height * width, made = rounded_up(outputs, 8);
    const Floats first = drawn(pixels * channels), second = drawn(pixels * channels);
    const Floats scale = drawn(channels), shift = drawn(channels);
    const Source sources[] = {{first.data(), scale.data(), shift.data(), channels, 1},
                              {second.data(), nullptr, nullptr, channels, 0}};
    bool done = true;

    const Packed winograd(pool, outputs, 2 * channels - 3, 9, 2 * channels, true);
    Floats out(pixels * made);
    done &= ctp_convolve_3x3(pool, sources, 2, height, width, winograd.weights.data(), winograd.bias.data(), out.data(),
                             made);

    const Packed direct(pool, outputs, 2 * channels - 3, 9, 2 * channels, false);
    const Window strided{height, width, 3, 3, 2, 1};
    const Index down = (height - 1) / 2 + 1, across = (width - 1) / 2 + 1;
    Floats half(down * across * made);
    done &= ctp_convolve(pool, sources, 2, &strided, direct.weights.data(), direct.bias.data(), 1, half.data(), down,
                         across, made, across * made, made);

    const Window single{height, width, 1, 1, 1, 0};
    Floats corners;
    for (int corner = 0; corner < 4; ++corner) {
        const Floats weights = Packed(pool, outputs, channels, 1, channels, false).weights;
        corners.insert(corners.end(), weights.begin(), weights.end());
    }
    corners.shrink_to_fit();
    for (const Source& source : sources) {
        Floats doubled(4 * pixels * made);
        done &= ctp_convolve(pool, &source, 1, &single, corners.data(), direct.bias.data(), 4, doubled.data(), height,
                             width, made, 4 * width * made, 2 * made);
    }

    Floats pooled(down * across * channels), total(pixels * channels), repeated(4 * pixels * channels);
    std::vector<double> statistics(2 * channels);
    return done & ctp_max_pool(pool, sources, &strided, pooled.data(), down, across) &
           ctp_moments(pool, sources, height, width, statistics.data()) &
           ctp_add(pool, sources, 2, height, width, total.data()) &
           ctp_upsample2x(pool, sources, height, width, repeated.data());
}

// A sum of images into an output with rows of 7 pixels.
void sum(Floats& out, Index rows) {
    ctp::Pool* pool = ctp_pool_new(1);
    const Floats values = drawn(rows * 7 * 8);
    const Source source{values.data(), nullptr, nullptr, 8, 0};
    ctp_add(pool, &source, 1, rows, 7, out.data());
    ctp_pool_free(pool);
}

}  // namespace

int main(int count, char** arguments) {
    const std::string fault = count > 1 ? arguments[1] : "";
    if (fault == "overflow") {
        Floats out(4 * 7 * 8);
        sum(out, 5);
    } else if (fault == "race") {
        Floats out(5 * 7 * 8);
        std::thread other([&] { sum(out, 5); });
        sum(out, 5);
        other.join();
    }
    ctp::Pool* pool = ctp_pool_new(4);
    bool done = true;
    for (const Index size : {1, 2, 5, 13, 31}) done &= all_kernels(pool, size, size + 2, 24, 19);
    done &= all_kernels(pool, 21, 23, 192, 264);  // the weights of Winograd's are larger than the cache
    ctp_pool_free(pool);
    return done ? 0 : 2;
}
