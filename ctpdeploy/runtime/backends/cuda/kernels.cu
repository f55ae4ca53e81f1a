// The device side of preprocessing and postprocessing: plain CUDA C++, one source for every GPU and for the host shim.
//
// Numbers follow the NumPy reference (runtime/preprocess.py): each float32 operation here rounds once, as NumPy's does.
// That needs a compiler which fuses no multiplication with an addition and divides as IEEE 754 says; build.py asks for
// both, here and on the host. No sum depends on the order in which blocks run.
//
// A source of voxels is rows of `pitch` elements: a row is a frame, a map or the MIP, its D x H x W voxels and a rest up
// to the pitch, a multiple of 2048; in frames the rest is 0. What x, y and z of the grid run along stands above each
// kernel.

#ifdef __CUDACC__
#define DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#else
#include "host/shim.h"
#endif

constexpr int WARP = 32;
constexpr int WARPS = 8;           // of a block of every kernel that reduces
constexpr int FRAMES_AT_ONCE = 8;  // loads in flight in each thread of the pass over the series
constexpr int RANKS = 3;           // order statistics looked for in each map
constexpr int DIGITS = 256;
constexpr unsigned ALL_LANES = 0xffffffffu;

// ---- Sums ----------------------------------------------------------------------------------------------------------
// int16 adds up in int, exactly: the 2048 voxels of a block stay below 2^26. float32 adds up in pairs of floats, the
// second of which collects what the first loses: over the 1024 voxels of a block, 14 additions deep, an error below 1e-12
// of the sum of magnitudes, and none for whole numbers. Doubles would do too, but most GPUs add 64 floats in the time of
// one double.

struct TwoFloats {
    float sum, error;  // the number is their sum
};

__device__ inline TwoFloats exact_sum(float a, float b) {  // Knuth, TAOCP 4.2.2, theorem B
    const float sum = a + b;
    const float of_b = sum - a;
    return {sum, (a - (sum - of_b)) + (b - of_b)};
}

__device__ inline TwoFloats add(TwoFloats a, TwoFloats b) {
    const TwoFloats sums = exact_sum(a.sum, b.sum);
    return {sums.sum, sums.error + (a.error + b.error)};
}

__device__ inline int add(int a, int b) { return a + b; }

__device__ inline float larger(float a, float b) { return fmaxf(a, b); }
__device__ inline short larger(short a, short b) { return a > b ? a : b; }

// Number by number: of a choice between structures the compiler makes branches, in which half of each warp waits.
__device__ inline TwoFloats chosen(bool first, TwoFloats a, TwoFloats b) {
    return {first ? a.sum : b.sum, first ? a.error : b.error};
}
__device__ inline int chosen(bool first, int a, int b) { return first ? a : b; }

__device__ inline double as_double(TwoFloats a) { return static_cast<double>(a.sum) + static_cast<double>(a.error); }
__device__ inline double as_double(int a) { return a; }

__device__ inline int from_lane(int value, int step) { return __shfl_xor_sync(ALL_LANES, value, step); }
__device__ inline TwoFloats from_lane(TwoFloats value, int step) {
    const float sum = __shfl_xor_sync(ALL_LANES, value.sum, step);
    return {sum, __shfl_xor_sync(ALL_LANES, value.error, step)};
}

// 16 bytes of voxels, loaded and stored at once.
template <class Stored>
struct Vector;

template <>
struct Vector<short> {
    using Sum = int;
    static constexpr int COUNT = 8;
    short at[COUNT];

    __device__ explicit Vector(int4 packed) {
        const int words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
        for (int i = 0; i < COUNT; ++i) at[i] = static_cast<short>(words[i / 2] >> 16 * (i % 2));
    }
    __device__ int4 packed() const {
        int words[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            words[i] = static_cast<int>((at[2 * i] & 0xffffu) | static_cast<unsigned>(at[2 * i + 1]) << 16);
        }
        return {words[0], words[1], words[2], words[3]};
    }
    __device__ Sum sum() const {
        Sum sum = 0;
#pragma unroll
        for (int i = 0; i < COUNT; ++i) sum += at[i];
        return sum;
    }
};

template <>
struct Vector<float> {
    using Sum = TwoFloats;
    static constexpr int COUNT = 4;
    float at[COUNT];

    __device__ explicit Vector(int4 packed)
        : at{__int_as_float(packed.x), __int_as_float(packed.y), __int_as_float(packed.z), __int_as_float(packed.w)} {}
    __device__ int4 packed() const {
        return {__float_as_int(at[0]), __float_as_int(at[1]), __float_as_int(at[2]), __float_as_int(at[3])};
    }
    __device__ Sum sum() const { return add(exact_sum(at[0], at[1]), exact_sum(at[2], at[3])); }
};

// ---- One pass over the series: sums of frames and the maximum over time --------------------------------------------

// Each lane brings a sum for each of eight frames; lane l leaves with the warp's sum of frame l / 4. Exchanging halves
// takes 9 shuffles, eight separate reductions would take 40.
template <class Sum>
__device__ Sum warp_sums(Sum (&sums)[FRAMES_AT_ONCE]) {
    const int lane = threadIdx.x % WARP;
#pragma unroll
    for (int half = FRAMES_AT_ONCE / 2, step = WARP / 2; half > 0; half /= 2, step /= 2) {
        const bool upper = lane & step;
#pragma unroll
        for (int i = 0; i < half; ++i) {
            const Sum kept = chosen(upper, sums[i + half], sums[i]);
            const Sum given = chosen(upper, sums[i], sums[i + half]);
            sums[i] = add(kept, from_lane(given, step));
        }
    }
    Sum sum = sums[0];
#pragma unroll
    for (int step = 2; step > 0; step /= 2) sum = add(sum, from_lane(sum, step));
    return sum;
}

// x: vectors of a frame, a whole number of blocks of them. Raises `maximum` (one row) to that of some frames, or sets it
// if these are the `first`; partials[frame][block] receives each block's sum. NaN and infinity reach the sums, though not
// always the maximum.
template <class Stored>
__device__ void intensity(const Stored* series, long long pitch, int frames, int first, Stored* maximum,
                          double* partials) {
    using Voxels = Vector<Stored>;
    using Sum = typename Voxels::Sum;
    __shared__ Sum of_warps[2][WARPS][FRAMES_AT_ONCE];  // two, so that one barrier for each is enough
    const long long stride = pitch / Voxels::COUNT;
    const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    const int4* next = reinterpret_cast<const int4*>(series) + index;
    int4* result = reinterpret_cast<int4*>(maximum) + index;
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;

    Voxels highest{first ? *next : *result};
    for (int start = 0, turn = 0; start < frames; start += FRAMES_AT_ONCE, turn ^= 1) {
        int4 packed[FRAMES_AT_ONCE];
#pragma unroll
        for (int i = 0; i < FRAMES_AT_ONCE; ++i) {
            packed[i] = *next;
            if (start + i + 1 < frames) next += stride;  // the last frame is read again; that sum goes nowhere
        }
        Sum sums[FRAMES_AT_ONCE];
#pragma unroll
        for (int i = 0; i < FRAMES_AT_ONCE; ++i) {
            const Voxels voxels{packed[i]};
            sums[i] = voxels.sum();
#pragma unroll
            for (int k = 0; k < Voxels::COUNT; ++k) highest.at[k] = larger(highest.at[k], voxels.at[k]);
        }
        const Sum sum = warp_sums(sums);
        if (lane % 4 == 0) of_warps[turn][warp][lane / 4] = sum;
        __syncthreads();
        const int frame = start + threadIdx.x;
        if (threadIdx.x < FRAMES_AT_ONCE && frame < frames) {
            Sum total = of_warps[turn][0][threadIdx.x];
            for (int i = 1; i < WARPS; ++i) total = add(total, of_warps[turn][i][threadIdx.x]);
            partials[static_cast<long long>(frame) * gridDim.x + blockIdx.x] = as_double(total);
        }
    }
    *result = highest.packed();
}

// Three blocks at once leave each thread the registers to have all its loads under way before it uses the first.
extern "C" __global__ void __launch_bounds__(WARP * WARPS, 3)
intensity_short(const short* series, long long pitch, int frames, int first, short* maximum, double* partials) {
    intensity(series, pitch, frames, first, maximum, partials);
}

extern "C" __global__ void __launch_bounds__(WARP * WARPS, 3)
intensity_float(const float* series, long long pitch, int frames, int first, float* maximum, double* partials) {
    intensity(series, pitch, frames, first, maximum, partials);
}

// x: frames. Adds up a frame's partial sums in an order of their number alone: equal frames get equal sums.
extern "C" __global__ void __launch_bounds__(WARP * WARPS)
frame_sums(const double* partials, int count, double* sums) {
    __shared__ double of_warps[WARPS];
    const double* of_frame = partials + static_cast<long long>(blockIdx.x) * count;
    double sum = 0.0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) sum += of_frame[i];
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, step);
    if (threadIdx.x % WARP == 0) of_warps[threadIdx.x / WARP] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        double total = of_warps[0];
        for (int i = 1; i < WARPS; ++i) total += of_warps[i];
        sums[blockIdx.x] = total;
    }
}

// ---- Order statistics: digits of their keys, highest first ---------------------------------------------------------

// Bits of a float as an unsigned number that sorts alike.
__device__ inline unsigned key_of(float value) {
    const unsigned bits = __float_as_uint(value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// x: any, y: maps. Counts, for each rank looked for, the digits at `shift` of the keys that agree with what is known of
// its key, prefixes[map][rank]; adds them to histograms[map][rank][digit].
extern "C" __global__ void __launch_bounds__(WARP * WARPS)
count_digits(const float* maps, long long pitch, long long count, int shift, const unsigned* prefixes,
             unsigned* histograms) {
    __shared__ unsigned counts[RANKS * DIGITS];
    const float* map = maps + blockIdx.y * pitch;
    const unsigned* known = prefixes + blockIdx.y * RANKS;
    for (int i = threadIdx.x; i < RANKS * DIGITS; i += blockDim.x) counts[i] = 0;
    __syncthreads();
    const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
        const unsigned key = key_of(map[i]);
#pragma unroll
        for (int rank = 0; rank < RANKS; ++rank) {
            const unsigned differing = (key ^ known[rank]) >> shift;
            if (differing < DIGITS) atomicAdd(&counts[rank * DIGITS + (key >> shift) % DIGITS], 1u);
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < RANKS * DIGITS; i += blockDim.x) {
        if (counts[i] > 0) atomicAdd(&histograms[blockIdx.y * RANKS * DIGITS + i], counts[i]);
    }
}

// x: maps. Finds the digit in which each rank falls, appends it to the prefix, and leaves in ranks[map][rank] the rank
// among the keys that begin with it. Empties the histograms for the next digit.
extern "C" __global__ void __launch_bounds__(WARP * WARPS)
select_digit(unsigned* histograms, int shift, unsigned* prefixes, unsigned* ranks) {
    __shared__ unsigned counts[RANKS * DIGITS];
    unsigned* of_map = histograms + blockIdx.x * RANKS * DIGITS;
    for (int i = threadIdx.x; i < RANKS * DIGITS; i += blockDim.x) {
        counts[i] = of_map[i];
        of_map[i] = 0;
    }
    __syncthreads();
    if (threadIdx.x < RANKS) {
        const unsigned* mine = counts + threadIdx.x * DIGITS;
        const int rank = blockIdx.x * RANKS + threadIdx.x;
        unsigned left = ranks[rank], digit = 0;
        while (digit < DIGITS - 1 && left >= mine[digit]) left -= mine[digit++];
        ranks[rank] = left;
        prefixes[rank] |= digit << shift;
    }
}

// ---- Scaling to [0, 1], and resampling -----------------------------------------------------------------------------

// What becomes of the mean of `rows` rows of a source from `row` on: its values low .. low + range become 0 .. 1 of a
// channel.
struct Channel {
    int row, rows;
    float low, range;
};

// Stored numbers to HU as a reader of the file gives them: in double, then rounded to float once.
__device__ inline float rescaled(float stored, double slope, double intercept) {
    if (slope == 1.0 && intercept == 0.0) return stored;
    return static_cast<float>(static_cast<double>(stored) * slope + intercept);
}

__device__ inline float scaled(float value, const Channel& channel) {
    return fminf(fmaxf((value - channel.low) / channel.range, 0.0f), 1.0f);
}

// Mean over rows that lie `pitch` numbers apart, added in double and in their order; a single row as it is.
template <class Stored>
__device__ float mean(const Stored* at, long long pitch, int rows, double slope, double intercept) {
    if (rows == 1) return rescaled(*at, slope, intercept);
    double sum = 0.0;
#pragma unroll 1
    for (int i = 0; i < rows; ++i) sum += static_cast<double>(rescaled(at[i * pitch], slope, intercept));
    return static_cast<float>(sum / rows);
}

// x: fours of pixels, y: slices, z: channels. For grids that agree and slices of a multiple of four pixels. A warp reads
// and writes fours; only of the mean of several rows it reads number by number.
template <class Stored, class Four>
__device__ void scale(const Stored* source, long long pitch, double slope, double intercept, const Channel* channels,
                      long long pixels, float* result, int of_channels, int first) {
    const long long four = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (four >= pixels / 4) return;
    const Channel channel = channels[blockIdx.z];
    const Stored* slice = source + channel.row * pitch + blockIdx.y * pixels;
    float* target = result + (static_cast<long long>(blockIdx.y) * of_channels + first + blockIdx.z) * pixels;
    float value[4];
    if (channel.rows == 1) {
        const Four stored = reinterpret_cast<const Four*>(slice)[four];
        value[0] = rescaled(stored.x, slope, intercept), value[1] = rescaled(stored.y, slope, intercept);
        value[2] = rescaled(stored.z, slope, intercept), value[3] = rescaled(stored.w, slope, intercept);
    } else {
#pragma unroll 1
        for (int i = 0; i < 4; ++i) value[i] = mean(slice + 4 * four + i, pitch, channel.rows, slope, intercept);
    }
    reinterpret_cast<float4*>(target)[four] = {scaled(value[0], channel), scaled(value[1], channel),
                                               scaled(value[2], channel), scaled(value[3], channel)};
}

extern "C" __global__ void scale_short(const short* source, long long pitch, double slope, double intercept,
                                       const Channel* channels, long long pixels, float* result, int of_channels,
                                       int first) {
    scale<short, short4>(source, pitch, slope, intercept, channels, pixels, result, of_channels, first);
}

extern "C" __global__ void scale_float(const float* source, long long pitch, double slope, double intercept,
                                       const Channel* channels, long long pixels, float* result, int of_channels,
                                       int first) {
    scale<float, float4>(source, pitch, slope, intercept, channels, pixels, result, of_channels, first);
}

// Rows or columns of a resampling matrix: result i is the sum of weights[i][k] * source[first[i] + k] for k < taps.
struct Bands {
    const int* first;
    const float* weights;
    int taps;
};

// x: rows of the result. One row of `rows @ slice @ columns.T`, in that order, as the reference multiplies; what a
// matrix leaves out is a zero there. `value` turns the place of a stored number into a pixel.
template <class Stored, class Value>
__device__ void resampled_row(const Stored* slice, int width, Bands rows, Bands columns, int result_width, Value value,
                              float* result) {
    DYNAMIC_SHARED(float, row);  // `width` floats
    const Stored* top = slice + static_cast<long long>(rows.first[blockIdx.x]) * width;
    const float* down = rows.weights + static_cast<long long>(blockIdx.x) * rows.taps;
    for (int x = threadIdx.x; x < width; x += blockDim.x) {
        float sum = 0.0f;
        for (int k = 0; k < rows.taps; ++k) sum += down[k] * value(top + static_cast<long long>(k) * width + x);
        row[x] = sum;
    }
    __syncthreads();
    for (int x = threadIdx.x; x < result_width; x += blockDim.x) {
        float sum = 0.0f;
        for (int k = 0; k < columns.taps; ++k) sum += columns.weights[x * columns.taps + k] * row[columns.first[x] + k];
        result[static_cast<long long>(blockIdx.x) * result_width + x] = sum;
    }
}

// x: rows of the result, y: slices, z: channels. Scales as `scale` does, then resamples.
template <class Stored>
__device__ void scale_resampled(const Stored* source, long long pitch, double slope, double intercept,
                                const Channel* channels, int height, int width, Bands rows, Bands columns,
                                int result_width, float* result, int of_channels, int first) {
    const Channel channel = channels[blockIdx.z];
    const long long pixels = static_cast<long long>(gridDim.x) * result_width;
    resampled_row(
        source + channel.row * pitch + static_cast<long long>(blockIdx.y) * height * width, width, rows, columns,
        result_width,
        [=](const Stored* at) { return scaled(mean(at, pitch, channel.rows, slope, intercept), channel); },
        result + (static_cast<long long>(blockIdx.y) * of_channels + first + blockIdx.z) * pixels);
}

extern "C" __global__ void scale_resampled_short(
    const short* source, long long pitch, double slope, double intercept, const Channel* channels, int height,
    int width, const int* first_rows, const float* row_weights, int row_taps, const int* first_columns,
    const float* column_weights, int column_taps, int result_width, float* result, int of_channels, int first) {
    scale_resampled(source, pitch, slope, intercept, channels, height, width, {first_rows, row_weights, row_taps},
                    {first_columns, column_weights, column_taps}, result_width, result, of_channels, first);
}

extern "C" __global__ void scale_resampled_float(
    const float* source, long long pitch, double slope, double intercept, const Channel* channels, int height,
    int width, const int* first_rows, const float* row_weights, int row_taps, const int* first_columns,
    const float* column_weights, int column_taps, int result_width, float* result, int of_channels, int first) {
    scale_resampled(source, pitch, slope, intercept, channels, height, width, {first_rows, row_weights, row_taps},
                    {first_columns, column_weights, column_taps}, result_width, result, of_channels, first);
}

// x: rows of the result, y: slices. Network output back to the voxels of the case.
extern "C" __global__ void resample(const float* source, int height, int width, const int* first_rows,
                                    const float* row_weights, int row_taps, const int* first_columns,
                                    const float* column_weights, int column_taps, int result_width, float* result) {
    resampled_row(
        source + static_cast<long long>(blockIdx.y) * height * width, width, {first_rows, row_weights, row_taps},
        {first_columns, column_weights, column_taps}, result_width, [](const float* at) { return *at; },
        result + static_cast<long long>(blockIdx.y) * gridDim.x * result_width);
}

// ---- What may not pass, and the finding ----------------------------------------------------------------------------

// x: any, y: rows. Raises flags[row] where one of its first `count` numbers is NaN or infinite.
extern "C" __global__ void flag_nonfinite(const float* rows, long long pitch, long long count, int* flags) {
    const float* row = rows + blockIdx.y * pitch;
    const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
    bool finite = true;
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
        finite &= (__float_as_uint(row[i]) & 0x7f800000u) != 0x7f800000u;
    }
    if (!finite) atomicOr(&flags[blockIdx.y], 1);
}

// x: any. 1 where a probability is above the threshold, else 0.
extern "C" __global__ void mask_above(const float* probability, long long count, float threshold, unsigned char* mask) {
    const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
        mask[i] = probability[i] > threshold;
    }
}
