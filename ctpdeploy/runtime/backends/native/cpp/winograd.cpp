// 3x3 convolutions with stride 1 and padding 1.

#include "winograd.hpp"

#include <algorithm>

#include "product.hpp"
#include "threads.hpp"

namespace ctp {
namespace {

// A slice cut into tiles of 4 x 4 pixels.
struct Tiles {
    Index height, width;
    Index across() const { return (width + TILE - 1) / TILE; }
    Index count() const { return (height + TILE - 1) / TILE * across(); }
    Index top(Index tile) const { return tile / across() * TILE; }
    Index left(Index tile) const { return tile % across() * TILE; }
};

template <bool AFFINE, bool RELU, bool INSIDE>
void tile_to_frequencies(const Source& source, const Tiles& tiles, Index tile, float* out, Index step) {
    const Index top = tiles.top(tile) - 1, left = tiles.left(tile) - 1, row = tiles.width * source.channels;
    const float* corner = source.data + top * row + left * source.channels;
    for (Index c = 0; c < source.channels; c += LANES) {
        const Vector scale = AFFINE ? load(source.scale + c) : Vector{};
        const Vector shift = AFFINE ? load(source.shift + c) : Vector{};
        Vector half[TAPS][TAPS];
        for (Index j = 0; j < TAPS; ++j) {
            Vector d[TAPS], t[TAPS];
            for (Index i = 0; i < TAPS; ++i) {
                const bool there = INSIDE || (top + i >= 0 && top + i < tiles.height && left + j >= 0 &&
                                              left + j < tiles.width);
                d[i] = there ? load(corner + i * row + j * source.channels + c) : Vector{};
                if (AFFINE && there) d[i] = scale * d[i] + shift;
                if (RELU) d[i] = positive(d[i]);
            }
            to_frequencies(d, t);
            for (Index i = 0; i < TAPS; ++i) half[i][j] = t[i];
        }
        for (Index i = 0; i < TAPS; ++i) {
            Vector t[TAPS];
            to_frequencies(half[i], t);
            for (Index j = 0; j < TAPS; ++j) store(out + (i * TAPS + j) * step + c, t[j]);
        }
    }
}

using TileToFrequencies = void(const Source&, const Tiles&, Index, float*, Index);

constexpr TileToFrequencies* TILE_TO_FREQUENCIES[2][2][2] = {
    {{tile_to_frequencies<false, false, false>, tile_to_frequencies<false, false, true>},
     {tile_to_frequencies<false, true, false>, tile_to_frequencies<false, true, true>}},
    {{tile_to_frequencies<true, false, false>, tile_to_frequencies<true, false, true>},
     {tile_to_frequencies<true, true, false>, tile_to_frequencies<true, true, true>}},
};

// Frequencies [36][tile][channel] of tiles, the channels of all sources one after the other.
void forward(const Source* sources, Index count, const Tiles& tiles, Index first, Index last, float* out, Index stride,
             Index step) {
    for (Index tile = first; tile < last; ++tile, out += stride) {
        const Index top = tiles.top(tile), left = tiles.left(tile);
        const bool inside = top > 0 && left > 0 && top + TILE < tiles.height && left + TILE < tiles.width;
        float* to = out;
        for (Index s = 0; s < count; to += sources[s++].channels)
            TILE_TO_FREQUENCIES[sources[s].scale != nullptr][sources[s].relu != 0][inside](sources[s], tiles, tile, to,
                                                                                           step);
    }
}

// Pixels of tiles from their frequencies, [36][tile][channel] of a block of channels.
void backward(const float* in, Index stride, Index step, const Tiles& tiles, Index first, Index last, const float* bias,
              float* out, Index channels, Index block) {
    for (Index tile = first; tile < last; ++tile, in += stride) {
        const Index top = tiles.top(tile), left = tiles.left(tile);
        const Index rows = std::min(TILE, tiles.height - top), columns = std::min(TILE, tiles.width - left);
        for (Index c = 0; c < block; c += LANES) {
            Vector half[TILE][TAPS];
            for (Index j = 0; j < TAPS; ++j) {
                Vector m[TAPS], y[TILE];
                for (Index i = 0; i < TAPS; ++i) m[i] = load(in + (i * TAPS + j) * step + c);
                from_frequencies(m, y);
                for (Index i = 0; i < TILE; ++i) half[i][j] = y[i];
            }
            const Vector start = load(bias + c);
            for (Index i = 0; i < rows; ++i) {
                Vector y[TILE];
                from_frequencies(half[i], y);
                float* to = out + ((top + i) * tiles.width + left) * channels + c;
                for (Index j = 0; j < columns; ++j) store(to + j * channels, y[j] + start);
            }
        }
    }
}

}  // namespace

// 3x3 convolution, padding 1. Weights [panel][36][channel][16], out [row][column][channels], channels a multiple of 8.
//
// While the weights fit into the cache that cores share, a task is a few tiles from start to end, and its frequencies
// stay in the cache of its core. Larger weights have to come from memory: then a task is a few outputs, each weight is
// read once for a hundred tiles, and these share their frequencies.
CTP_EXPORT bool ctp_convolve_3x3(Pool* pool, const Source* sources, Index count, Index height, Index width,
                                 const float* weights, const float* bias, float* out, Index channels) try {
    constexpr Index CACHE = 6 << 20, FEW_TILES = 24, MANY_TILES = 96, FEW_OUTPUTS = 32, MANY_OUTPUTS = 64;
    const Tiles tiles{height, width};
    Index depth = 0;
    for (Index s = 0; s < count; ++s) depth += sources[s].channels;
    const Index stride = depth + COLUMNS;  // rows a power of two apart would fight for the same lines of the cache
    const Index panel = FREQUENCIES * depth * COLUMNS;

    // The pixels of tiles [first, last) in channels [from, to), from frequencies of these tiles.
    const auto finish = [&](const float* frequencies, Index step, Index first, Index last, Index from, Index to) {
        const Index block = (to - from + COLUMNS - 1) / COLUMNS * COLUMNS, out_step = (last - first) * block + COLUMNS;
        float* made = scratch(FREQUENCIES * out_step, 1);
        for (Index f = 0; f < FREQUENCIES; ++f)
            for (Index c = 0; c < block; c += COLUMNS)
                products(last - first, frequencies + f * step, stride,
                         weights + (from + c) / COLUMNS * panel + f * depth * COLUMNS, depth, nullptr,
                         made + f * out_step + c, block);
        backward(made, block, out_step, tiles, first, last, bias + from, out + from, channels, to - from);
    };

    if (panel * ((channels + COLUMNS - 1) / COLUMNS) * Index(sizeof(float)) <= CACHE)
        return pool->run((tiles.count() + FEW_TILES - 1) / FEW_TILES, [&](Index task) {
            const Index first = task * FEW_TILES, last = std::min(first + FEW_TILES, tiles.count());
            const Index step = (last - first) * stride + COLUMNS;
            float* frequencies = scratch(FREQUENCIES * step, 0);
            forward(sources, count, tiles, first, last, frequencies, stride, step);
            for (Index c = 0; c < channels; c += MANY_OUTPUTS)
                finish(frequencies, step, first, last, c, std::min(channels, c + MANY_OUTPUTS));
        });

    const Index step = std::min(MANY_TILES, tiles.count()) * stride + COLUMNS;
    float* frequencies = scratch(FREQUENCIES * step, 0);
    for (Index first = 0; first < tiles.count(); first += MANY_TILES) {
        const Index last = std::min(first + MANY_TILES, tiles.count());
        const bool done = pool->run(last - first, [&](Index i) {
            forward(sources, count, tiles, first + i, first + i + 1, frequencies + i * stride, stride, step);
        }) && pool->run((channels + FEW_OUTPUTS - 1) / FEW_OUTPUTS, [&](Index task) {
            const Index c = task * FEW_OUTPUTS;
            finish(frequencies, step, first, last, c, std::min(channels, c + FEW_OUTPUTS));
        });
        if (!done) return false;
    }
    return true;
} catch (const std::bad_alloc&) {
    return false;
}

}  // namespace ctp
