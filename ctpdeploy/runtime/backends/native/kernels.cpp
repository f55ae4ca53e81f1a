// The networks' operators on slices, for processors with AVX2 and FMA.
//
// An image is float32 [row][column][channel], its channels a multiple of 8, those too many zero. What reads images takes
// them as Sources: max(scale * x + shift, 0), which is how a normalisation and its ReLU cost no pass of their own, and
// several Sources stand for their channels one after the other, which is how a concatenation costs none.
//
// 3x3 convolutions are Winograd's F(4x4, 3x3) with the points 0, +-3/4, +-3/2 and infinity, which round a fourth of what
// the textbook's 0, +-1, +-2 do. With a sum over the channels after the product, each tile d of 6 x 6 pixels and each
// kernel g make 4 x 4 pixels
//     A^T ((G g G^T) * (B^T d B)) A
// where row j of G is (1, p_j, p_j^2) / prod_l (p_j - p_l), the last (0, 0, 1), and A and B follow likewise from Toom and
// Cook's interpolation at the points p.

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

namespace {

constexpr long LANES = 8, COLUMNS = 16, ROWS = 6;  // of a vector; of the product that stays in registers
constexpr long TAPS = 6, FREQUENCIES = TAPS * TAPS, TILE = 4;

using Vector = float __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector x) { *reinterpret_cast<Vector*>(to) = x; }
inline Vector splat(float x) { return Vector{x, x, x, x, x, x, x, x}; }
inline Vector positive(Vector x) { return _mm256_max_ps(Vector{}, x); }  // NaN stays NaN

}  // namespace

// What a kernel reads: an image with a scale and a shift of each channel, or null for none, and then ReLU or not.
struct Source {
    const float* data;
    const float* scale;
    const float* shift;
    long channels;
    long relu;
};

// Threads that wait for work. One call at a time uses them.
class Pool {
  public:
    explicit Pool(long threads) {
        for (long i = 1; i < threads; ++i) workers_.emplace_back([this] { serve(); });
    }

    ~Pool() {
        {
            std::lock_guard lock(mutex_);
            ending_ = true;
        }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    // Does task 0 to count - 1, each once, in whichever thread is free; false if memory ran out.
    bool run(long count, const std::function<void(long)>& task) {
        {
            std::lock_guard lock(mutex_);
            task_ = &task;
            failed_ = false;
            count_ = count;
            next_ = 0;
            busy_ = long(workers_.size());
            ++round_;
        }
        wake_.notify_all();
        work();
        std::unique_lock lock(mutex_);
        done_.wait(lock, [this] { return busy_ == 0; });
        return !failed_;
    }

  private:
    void work() {
        try {
            for (long i = next_++; i < count_; i = next_++) (*task_)(i);
        } catch (const std::bad_alloc&) {
            failed_ = true;
        }
    }

    void serve() {
        for (long seen = 0;;) {
            {
                std::unique_lock lock(mutex_);
                wake_.wait(lock, [&] { return ending_ || round_ != seen; });
                if (ending_) return;
                seen = round_;
            }
            work();
            std::lock_guard lock(mutex_);
            if (--busy_ == 0) done_.notify_one();
        }
    }

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    const std::function<void(long)>* task_ = nullptr;
    std::atomic<long> next_{0};
    std::atomic<bool> failed_{false};
    long count_ = 0, busy_ = 0, round_ = 0;
    bool ending_ = false;
};

namespace {

// Memory of a thread, as much as it was ever asked for; there are two of them. Throws std::bad_alloc.
float* scratch(long size, int which) {
    struct alignas(64) Line {
        float values[16];
    };
    thread_local std::vector<Line> memory[2];
    const std::size_t lines = (size + 15) / 16;
    if (memory[which].size() < lines) memory[which] = std::vector<Line>(lines);
    return memory[which].data()->values;
}

// c[R][16] = bias + a[R][depth] b[depth][16]; half leaves out the last 8 columns.
template <long R>
inline void product(const float* a, long stride, const float* b, long depth, const float* bias, float* c,
                    long c_stride, bool half) {
    Vector sum[R][2];
    for (long r = 0; r < R; ++r) {
        sum[r][0] = bias ? load(bias) : Vector{};
        sum[r][1] = bias ? load(bias + LANES) : Vector{};
    }
    for (long k = 0; k < depth; ++k) {
        const Vector left = load(b + k * COLUMNS), right = load(b + k * COLUMNS + LANES);
        for (long r = 0; r < R; ++r) {
            const Vector x = splat(a[r * stride + k]);
            sum[r][0] += x * left;
            sum[r][1] += x * right;
        }
    }
    for (long r = 0; r < R; ++r) {
        store(c + r * c_stride, sum[r][0]);
        if (!half) store(c + r * c_stride + LANES, sum[r][1]);
    }
}

// The same for any number of rows.
void products(long rows, const float* a, long stride, const float* b, long depth, const float* bias,
              float* c, long c_stride, bool half = false) {
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

constexpr float P = 0.75f, Q = 1.5f, PP = P * P, QQ = Q * Q;

// G g G^T: from a 3x3 kernel to its frequencies, in float64.
void kernel_to_frequencies(const float* g, float* out, long step) {
    constexpr double POINTS[] = {0, P, -P, Q, -Q};
    double half[TAPS][3];
    const auto row = [&](long j, const auto& value) {
        if (j == TAPS - 1) return double(value(2));
        double product = 1;
        for (long l = 0; l < TAPS - 1; ++l)
            if (l != j) product *= POINTS[j] - POINTS[l];
        return (value(0) + POINTS[j] * (value(1) + POINTS[j] * value(2))) / product;
    };
    for (long i = 0; i < TAPS; ++i)
        for (long j = 0; j < 3; ++j) half[i][j] = row(i, [&](long k) { return double(g[3 * k + j]); });
    for (long i = 0; i < TAPS; ++i)
        for (long j = 0; j < TAPS; ++j) out[(i * TAPS + j) * step] = float(row(j, [&](long k) { return half[i][k]; }));
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

// A slice cut into tiles of 4 x 4 pixels.
struct Tiles {
    long height, width;
    long across() const { return (width + TILE - 1) / TILE; }
    long count() const { return (height + TILE - 1) / TILE * across(); }
    long top(long tile) const { return tile / across() * TILE; }
    long left(long tile) const { return tile % across() * TILE; }
};

template <bool AFFINE, bool RELU, bool INSIDE>
void tile_to_frequencies(const Source& source, const Tiles& tiles, long tile, float* out, long step) {
    const long top = tiles.top(tile) - 1, left = tiles.left(tile) - 1, row = tiles.width * source.channels;
    const float* corner = source.data + top * row + left * source.channels;
    for (long c = 0; c < source.channels; c += LANES) {
        const Vector scale = AFFINE ? load(source.scale + c) : Vector{};
        const Vector shift = AFFINE ? load(source.shift + c) : Vector{};
        Vector half[TAPS][TAPS];
        for (long j = 0; j < TAPS; ++j) {
            Vector d[TAPS], t[TAPS];
            for (long i = 0; i < TAPS; ++i) {
                const bool there = INSIDE || (top + i >= 0 && top + i < tiles.height && left + j >= 0 &&
                                              left + j < tiles.width);
                d[i] = there ? load(corner + i * row + j * source.channels + c) : Vector{};
                if (AFFINE && there) d[i] = scale * d[i] + shift;
                if (RELU) d[i] = positive(d[i]);
            }
            to_frequencies(d, t);
            for (long i = 0; i < TAPS; ++i) half[i][j] = t[i];
        }
        for (long i = 0; i < TAPS; ++i) {
            Vector t[TAPS];
            to_frequencies(half[i], t);
            for (long j = 0; j < TAPS; ++j) store(out + (i * TAPS + j) * step + c, t[j]);
        }
    }
}

using TileToFrequencies = void(const Source&, const Tiles&, long, float*, long);

constexpr TileToFrequencies* TILE_TO_FREQUENCIES[2][2][2] = {
    {{tile_to_frequencies<false, false, false>, tile_to_frequencies<false, false, true>},
     {tile_to_frequencies<false, true, false>, tile_to_frequencies<false, true, true>}},
    {{tile_to_frequencies<true, false, false>, tile_to_frequencies<true, false, true>},
     {tile_to_frequencies<true, true, false>, tile_to_frequencies<true, true, true>}},
};

// Frequencies [36][tile][channel] of tiles, the channels of all sources one after the other.
void forward(const Source* sources, long count, const Tiles& tiles, long first, long last, float* out, long stride,
             long step) {
    for (long tile = first; tile < last; ++tile, out += stride) {
        const long top = tiles.top(tile), left = tiles.left(tile);
        const bool inside = top > 0 && left > 0 && top + TILE < tiles.height && left + TILE < tiles.width;
        float* to = out;
        for (long s = 0; s < count; to += sources[s++].channels)
            TILE_TO_FREQUENCIES[sources[s].scale != nullptr][sources[s].relu][inside](sources[s], tiles, tile, to, step);
    }
}

// Pixels of tiles from their frequencies, [36][tile][channel] of a block of channels.
void backward(const float* in, long stride, long step, const Tiles& tiles, long first, long last, const float* bias,
              float* out, long channels, long block) {
    for (long tile = first; tile < last; ++tile, in += stride) {
        const long top = tiles.top(tile), left = tiles.left(tile);
        const long rows = std::min(TILE, tiles.height - top), columns = std::min(TILE, tiles.width - left);
        for (long c = 0; c < block; c += LANES) {
            Vector half[TILE][TAPS];
            for (long j = 0; j < TAPS; ++j) {
                Vector m[TAPS], y[TILE];
                for (long i = 0; i < TAPS; ++i) m[i] = load(in + (i * TAPS + j) * step + c);
                from_frequencies(m, y);
                for (long i = 0; i < TILE; ++i) half[i][j] = y[i];
            }
            const Vector start = load(bias + c);
            for (long i = 0; i < rows; ++i) {
                Vector y[TILE];
                from_frequencies(half[i], y);
                float* to = out + ((top + i) * tiles.width + left) * channels + c;
                for (long j = 0; j < columns; ++j) store(to + j * channels, y[j] + start);
            }
        }
    }
}

// Values of a source from a pixel on, ready to use.
template <typename Use>
inline void each_vector(const Source& source, const float* pixel, Use use) {
    for (long c = 0; c < source.channels; c += LANES) {
        Vector x = load(pixel + c);
        if (source.scale) x = load(source.scale + c) * x + load(source.shift + c);
        use(c, source.relu ? positive(x) : x);
    }
}

// What of an image a convolution sees, and where.
struct Window {
    long height, width, rows, columns, stride, padding;
    bool single() const { return rows == 1 && columns == 1 && stride == 1 && padding == 0; }
};

// The window's values of output pixels [0, across) of a row, stride apart: [tap][channel of all sources].
void gather(const Source* sources, long count, const Window& window, long row, long across, float* out, long stride) {
    for (long column = 0; column < across; ++column, out += stride) {
        float* to = out;
        for (long i = 0; i < window.rows; ++i)
            for (long j = 0; j < window.columns; ++j) {
                const long y = row * window.stride + i - window.padding, x = column * window.stride + j - window.padding;
                const bool there = y >= 0 && y < window.height && x >= 0 && x < window.width;
                for (long s = 0; s < count; to += sources[s++].channels) {
                    if (there)
                        each_vector(sources[s], sources[s].data + (y * window.width + x) * sources[s].channels,
                                    [&](long c, Vector v) { store(to + c, v); });
                    else
                        std::fill_n(to, sources[s].channels, 0.0f);
                }
            }
    }
}

}  // namespace

extern "C" {

Pool* pool_new(long threads) { return new Pool(threads); }
void pool_free(Pool* pool) { delete pool; }

// SHA-256 of this file when it was compiled.
const char* version() { return VERSION; }

// Whether this processor runs what is in here.
int supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

// Weights of a convolution, [output][input][taps], as the kernels read them: [panel][taps][channel][16], or with
// frequencies in the place of the taps of a 3x3 convolution. Input i is channel places[i] of depth; the rest stays.
bool pack(Pool* pool, const float* weights, long outputs, long inputs, long taps, const long* places, long depth,
          long winograd, float* packed) {
    return pool->run((outputs + COLUMNS - 1) / COLUMNS, [&](long panel) {
        const long step = depth * COLUMNS, first = panel * COLUMNS, last = std::min(first + COLUMNS, outputs);
        float* out = packed + panel * (winograd ? FREQUENCIES : taps) * step;
        for (long i = 0; i < inputs; ++i)
            for (long o = first; o < last; ++o) {
                const float* kernel = weights + (o * inputs + i) * taps;
                float* to = out + places[i] * COLUMNS + o - first;
                if (winograd)
                    kernel_to_frequencies(kernel, to, step);
                else
                    for (long tap = 0; tap < taps; ++tap) to[tap * step] = kernel[tap];
            }
    });
}

// 3x3 convolution, padding 1. Weights [panel][36][channel][16], out [row][column][channels], channels a multiple of 8.
//
// While the weights fit into the cache that cores share, a task is a few tiles from start to end, and its frequencies
// stay in the cache of its core. Larger weights have to come from memory: then a task is a few outputs, each weight is
// read once for a hundred tiles, and these share their frequencies.
bool convolve_3x3(Pool* pool, const Source* sources, long count, long height, long width, const float* weights,
                  const float* bias, float* out, long channels) try {
    constexpr long CACHE = 6 << 20, FEW_TILES = 24, MANY_TILES = 96, FEW_OUTPUTS = 32, MANY_OUTPUTS = 64;
    const Tiles tiles{height, width};
    long depth = 0;
    for (long s = 0; s < count; ++s) depth += sources[s].channels;
    const long stride = depth + COLUMNS;  // rows a power of two apart would fight for the same lines of the cache
    const long panel = FREQUENCIES * depth * COLUMNS;

    // The pixels of tiles [first, last) in channels [from, to), from frequencies of these tiles.
    const auto finish = [&](const float* frequencies, long step, long first, long last, long from, long to) {
        const long block = (to - from + COLUMNS - 1) / COLUMNS * COLUMNS, out_step = (last - first) * block + COLUMNS;
        float* made = scratch(FREQUENCIES * out_step, 1);
        for (long f = 0; f < FREQUENCIES; ++f)
            for (long c = 0; c < block; c += COLUMNS)
                products(last - first, frequencies + f * step, stride,
                         weights + (from + c) / COLUMNS * panel + f * depth * COLUMNS, depth, nullptr,
                         made + f * out_step + c, block);
        backward(made, block, out_step, tiles, first, last, bias + from, out + from, channels, to - from);
    };

    if (panel * ((channels + COLUMNS - 1) / COLUMNS) * long(sizeof(float)) <= CACHE)
        return pool->run((tiles.count() + FEW_TILES - 1) / FEW_TILES, [&](long task) {
            const long first = task * FEW_TILES, last = std::min(first + FEW_TILES, tiles.count());
            const long step = (last - first) * stride + COLUMNS;
            float* frequencies = scratch(FREQUENCIES * step, 0);
            forward(sources, count, tiles, first, last, frequencies, stride, step);
            for (long c = 0; c < channels; c += MANY_OUTPUTS)
                finish(frequencies, step, first, last, c, std::min(channels, c + MANY_OUTPUTS));
        });

    const long step = std::min(MANY_TILES, tiles.count()) * stride + COLUMNS;
    float* frequencies = scratch(FREQUENCIES * step, 0);
    for (long first = 0; first < tiles.count(); first += MANY_TILES) {
        const long last = std::min(first + MANY_TILES, tiles.count());
        const bool done = pool->run(last - first, [&](long i) {
            forward(sources, count, tiles, first + i, first + i + 1, frequencies + i * stride, stride, step);
        }) && pool->run((channels + FEW_OUTPUTS - 1) / FEW_OUTPUTS, [&](long task) {
            const long c = task * FEW_OUTPUTS;
            finish(frequencies, step, first, last, c, std::min(channels, c + FEW_OUTPUTS));
        });
        if (!done) return false;
    }
    return true;
} catch (const std::bad_alloc&) {
    return false;
}

// Any other convolution, and the four of 1x1 that make a transposed one of 2x2 with stride 2. Weights [set][panel][tap]
// [channel][16]; each set makes height x width pixels, out_row and out_pixel values apart, the second set those half an
// out_pixel to the right, the third and the fourth those half an out_row below.
bool convolve(Pool* pool, const Source* sources, long count, const Window* window, const float* weights,
              const float* bias, long sets, float* out, long height, long width, long channels, long out_row,
              long out_pixel) {
    constexpr long PIXELS = 64, CHANNELS = 128;  // of a task, about
    long depth = 0;
    for (long s = 0; s < count; ++s) depth += sources[s].channels;
    depth *= window->rows * window->columns;
    const bool direct = window->single() && count == 1 && !sources->scale && !sources->relu;
    const long stride = direct ? depth : depth + COLUMNS;  // see convolve_3x3
    const long rows = (PIXELS + width - 1) / width, groups = (height + rows - 1) / rows;
    const long set = (channels + COLUMNS - 1) / COLUMNS * COLUMNS * depth;
    return pool->run(groups * ((channels + CHANNELS - 1) / CHANNELS), [&](long task) {
        const long first = task % groups * rows, last = std::min(first + rows, height);
        const long from = task / groups * CHANNELS, to = std::min(from + CHANNELS, channels);
        const float* seen = direct ? sources->data + first * width * depth : nullptr;
        if (!direct) {
            float* gathered = scratch((last - first) * width * stride, 0);
            for (long row = first; row < last; ++row)
                gather(sources, count, *window, row, width, gathered + (row - first) * width * stride, stride);
            seen = gathered;
        }
        for (long s = 0; s < sets; ++s)
            for (long c = from; c < to; c += COLUMNS)
                for (long row = first; row < last; ++row)
                    products(width, seen + (row - first) * width * stride, stride, weights + s * set + c * depth, depth,
                             bias + c, out + row * out_row + s / 2 * (out_row / 2) + s % 2 * (out_pixel / 2) + c,
                             out_pixel, to - c < COLUMNS);
    });
}

// The largest value of each window; what lies outside does not count.
bool max_pool(Pool* pool, const Source* source, const Window* window, float* out, long height, long width) {
    return pool->run(height, [&](long row) {
        float* to = out + row * width * source->channels;
        for (long column = 0; column < width; ++column, to += source->channels) {
            const long top = row * window->stride - window->padding, left = column * window->stride - window->padding;
            bool first = true;
            for (long y = std::max(top, 0L); y < std::min(top + window->rows, window->height); ++y)
                for (long x = std::max(left, 0L); x < std::min(left + window->columns, window->width); ++x) {
                    each_vector(*source, source->data + (y * window->width + x) * source->channels,
                                [&](long c, Vector v) {
                                    const Vector most = load(to + c);
                                    store(to + c, first || v > most ? v : most);
                                });
                    first = false;
                }
        }
    });
}

// Mean and variance of each channel, [2][channels].
bool moments(Pool* pool, const Source* source, long height, long width, double* out) try {
    const long channels = source->channels;
    std::vector<float> origin(channels);  // sums are of differences from the first pixel, so that little cancels
    each_vector(*source, source->data, [&](long c, Vector v) { store(&origin[c], v); });
    std::vector<double> sums(height * 2 * channels);
    const bool done = pool->run(height, [&](long row) {
        float* sum = scratch(2 * channels, 0);
        std::fill_n(sum, 2 * channels, 0.0f);
        for (long column = 0; column < width; ++column)
            each_vector(*source, source->data + (row * width + column) * channels, [&](long c, Vector v) {
                const Vector x = v - load(&origin[c]);
                store(sum + c, load(sum + c) + x);
                store(sum + channels + c, load(sum + channels + c) + x * x);
            });
        std::copy_n(sum, 2 * channels, &sums[row * 2 * channels]);
    });
    const double pixels = double(height) * double(width);
    for (long c = 0; c < channels; ++c) {
        double first = 0, second = 0;
        for (long row = 0; row < height; ++row) {
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

// The sum of images.
bool add(Pool* pool, const Source* sources, long count, long height, long width, float* out) {
    return pool->run(height, [&](long row) {
        const long channels = sources->channels, begin = row * width * channels;
        for (long at = begin; at < begin + width * channels; at += channels)
            for (long s = 0; s < count; ++s)
                each_vector(sources[s], sources[s].data + at, [&](long c, Vector v) {
                    store(out + at + c, s == 0 ? v : load(out + at + c) + v);
                });
    });
}

// Twice as many rows and columns, each pixel four times; the scale, the shift and the ReLU are left to the reader.
bool enlarge(Pool* pool, const Source* source, long height, long width, float* out) {
    const long channels = source->channels;
    return pool->run(2 * height, [&](long row) {
        for (long column = 0; column < 2 * width; ++column)
            std::copy_n(source->data + (row / 2 * width + column / 2) * channels, channels,
                        out + (row * 2 * width + column) * channels);
    });
}

}  // extern "C"
