#include "copy.hpp"

#include <algorithm>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace plait {
namespace {

constexpr int64_t CACHE_LINE = 64;
constexpr int64_t BYTES_OF_UNIT = 1 << 14;        // enough that a unit hides its overhead
constexpr int64_t MIN_BYTES_TO_STREAM = 1 << 24;  // results that the caches do not hold
constexpr int64_t MAX_BYTES_OF_REGION = 1 << 22;  // that the caches hold
constexpr int64_t RUN_BYTES = 1 << 11;            // of a result that are written at once
constexpr int64_t MIN_BYTES_OF_RUN = 1 << 12;     // shorter rows are put together before they are streamed
constexpr int64_t MAX_COLUMNS_IN_ORDER = 4;       // that are separated and written at once
constexpr int64_t BUFFER_BYTES = 1 << 14;         // in which a tile is put together
constexpr int64_t TILE_BYTES = 1 << 13;           // of a tile whose rows follow each other in the result

inline int64_t magnitude(int64_t value) { return value < 0 ? -value : value; }

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

template <class Part>
inline Part load(const char *address) {
    Part part;
    std::memcpy(&part, address, sizeof part);
    return part;
}

template <class Part>
inline void store(char *address, Part part) {
    std::memcpy(address, &part, sizeof part);
}

struct Part16 {
    uint64_t low, high;
};

#if defined(__SSE2__)
// Copies less than a cache line past the caches if it consists of aligned parts of 16 bytes.
inline void stream_parts(char *to, const char *from, int64_t bytes) {
    if (reinterpret_cast<uintptr_t>(to) % 16 || bytes % 16) {
        std::memcpy(to, from, bytes);
        return;
    }
    for (int64_t i = 0; i < bytes; i += 16) {
        _mm_stream_si128(reinterpret_cast<__m128i *>(to + i), load<__m128i>(from + i));
    }
}
#endif

// Copies bytes to memory past the caches, which need not be read then. Cache lines that belong to two runs are written
// past the caches as well, in parts.
inline void stream(char *to, const char *from, int64_t bytes) {
#if defined(__SSE2__)
    if (bytes >= 2 * CACHE_LINE) {
        const int64_t head = (CACHE_LINE - reinterpret_cast<uintptr_t>(to) % CACHE_LINE) % CACHE_LINE;
        const int64_t whole_end = head + (bytes - head) / CACHE_LINE * CACHE_LINE;
        stream_parts(to, from, head);
        for (int64_t i = head; i < whole_end; i += CACHE_LINE) {
            __m128i parts[4];
            for (int k = 0; k < 4; ++k) parts[k] = load<__m128i>(from + i + 16 * k);
            for (int k = 0; k < 4; ++k) _mm_stream_si128(reinterpret_cast<__m128i *>(to + i + 16 * k), parts[k]);
        }
        stream_parts(to + whole_end, from + whole_end, bytes - whole_end);
        return;
    }
#endif
    std::memcpy(to, from, bytes);
}

template <class Part>
inline void copy_both_ends(char *to, const char *from, int64_t bytes) {
    const int64_t last = bytes - static_cast<int64_t>(sizeof(Part));
    const Part head = load<Part>(from), tail = load<Part>(from + last);
    store(to, head);
    store(to + last, tail);
}

// Copies a row; a short one by two words that may overlap, which takes less time than a call.
inline void copy_row(char *to, const char *from, int64_t bytes) {
    if (bytes > 32 || bytes < 4) std::memcpy(to, from, bytes);
    else if (bytes >= 16) copy_both_ends<Part16>(to, from, bytes);
    else if (bytes >= 8) copy_both_ends<uint64_t>(to, from, bytes);
    else copy_both_ends<uint32_t>(to, from, bytes);
}

// Makes what was streamed visible to other threads before what is written later.
inline void finish_streams() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

}  // namespace

void Copy::add_loop(int64_t count, int64_t in, int64_t out) {
    loops_[loop_count_++] = {count, in, out};
    units_ *= count;
}

void Copy::add_tile_loop(Side &side) {
    const int64_t count = ceil_div(side.dimension.length, side.tile);
    if (count == 1) return;
    side.loop = loop_count_;
    add_loop(count, side.tile * side.dimension.in, side.tile * side.dimension.out);
}

// The length of the tile at some indices of the loops: the last one of a dimension may be shorter.
int64_t Copy::length_of(const Side &side, const int64_t *index) const {
    if (side.loop < 0) return least(side.tile, side.dimension.length);
    return least(side.tile, side.dimension.length - index[side.loop] * side.tile);
}

Copy::Copy(const Layout &layout, int64_t word, TransposeTile transpose_tile, Pages &pages)
    : in_(layout.in), out_(layout.out), word_(word), transpose_tile_(transpose_tile), pages_(pages) {
    bytes_ = layout.elements * word;
    streams_ = bytes_ >= MIN_BYTES_TO_STREAM;
    const Dimension *dims = layout.dimensions;
    const int last = layout.rank - 1;
    int column = last;
    for (int i = 0; i < layout.rank; ++i) {
        if (dims[i].in && (!dims[column].in || magnitude(dims[i].in) < magnitude(dims[column].in))) column = i;
    }
    row_.dimension = column_.dimension = more_.dimension = {1, word, word, false, 0};
    rows_are_alike_ = column == last;
    if (rows_are_alike_) choose_rows(layout);
    else choose_tiles(layout, column);
    find_region();
}

// Units of some whole rows, or of a part of one.
void Copy::choose_rows(const Layout &layout) {
    const Dimension *dims = layout.dimensions;
    const int rank = layout.rank;
    if (rank > 0) row_.dimension = dims[rank - 1];
    if (rank > 1) column_.dimension = dims[rank - 2];
    if (rank > 2) more_.dimension = dims[rank - 3];
    row_.tile = least(row_.dimension.length, 4 * BYTES_OF_UNIT / word_);
    column_.tile = least(column_.dimension.length, ceil_div(BYTES_OF_UNIT, row_.tile * word_));
    more_.tile = least(more_.dimension.length, ceil_div(BYTES_OF_UNIT, row_.tile * column_.tile * word_));
    for (int i = 0; i < rank - 3; ++i) add_loop(dims[i].length, dims[i].in, dims[i].out);
    add_tile_loop(more_);
    add_tile_loop(column_);
    add_tile_loop(row_);
    sort_loops();
}

// Tiles whose columns are cache lines of the source and whose rows are as long as the buffer allows.
void Copy::choose_tiles(const Layout &layout, int column) {
    const Dimension *dims = layout.dimensions;
    const int last = layout.rank - 1;
    const int64_t line = CACHE_LINE / word_;
    row_.dimension = dims[last];
    column_.dimension = dims[column];
    row_.tile = least(row_.dimension.length, RUN_BYTES / word_);
    const int64_t row_bytes = row_.tile * word_;
    int more = -1;
    reads_in_order_ = column_.dimension.length <= MAX_COLUMNS_IN_ORDER && row_.dimension.in == column_.dimension.length * word_;
    if (reads_in_order_) {
        column_.tile = column_.dimension.length;
        for (int i = 0; i < last; ++i) {
            if (i != column && (more < 0 || magnitude(dims[i].in) < magnitude(dims[more].in))) more = i;
        }
        if (more >= 0) {
            more_.dimension = dims[more];
            more_.tile = least(more_.dimension.length, ceil_div(BUFFER_BYTES, row_bytes * column_.tile));
        }
    } else if (row_.tile == row_.dimension.length && row_bytes == column_.dimension.out) {
        column_.tile = TILE_BYTES / row_bytes;  // whole rows follow each other, so that the tile is one run
    } else {
        column_.tile = column_.dimension.length < 2 * line ? column_.dimension.length : line;
        if (row_.tile == row_.dimension.length && column != last - 1 && dims[last - 1].out == row_bytes) {
            more = last - 1;
            more_.dimension = dims[more];
            more_.tile = least(more_.dimension.length, RUN_BYTES / row_bytes);
        }
        const int64_t most = BUFFER_BYTES / (row_bytes * more_.tile);
        column_.tile = least(column_.tile, most < 1 ? 1 : most);
    }
    column_.tile = least(column_.tile, column_.dimension.length);
    for (int i = 0; i < last; ++i) {
        if (i != column && i != more) add_loop(dims[i].length, dims[i].in, dims[i].out);
    }
    add_tile_loop(more_);
    add_tile_loop(row_);
    sort_loops();
    add_tile_loop(column_);  // innermost: the next tile continues the lines of the source that are in the caches
}

// Puts loops inside of others along which neither the source nor the result is adjacent, so that one is read or written
// in order. Loops over tiles keep their places in `Side`.
void Copy::sort_loops() {
    int order[PLAIT_MAX_RANK + 4];
    Loop sorted[PLAIT_MAX_RANK + 4];
    for (int i = 0; i < loop_count_; ++i) order[i] = i;
    const auto step = [this](int i) {
        const int64_t in = magnitude(loops_[i].in), out = magnitude(loops_[i].out);
        return reads_in_order_ || in < out ? in : out;
    };
    std::stable_sort(order, order + loop_count_, [step](int a, int b) { return step(a) > step(b); });
    for (int i = 0; i < loop_count_; ++i) sorted[i] = loops_[order[i]];
    for (Side *side : {&row_, &column_, &more_}) {
        if (side->loop >= 0) {
            side->loop = static_cast<int>(std::find(order, order + loop_count_, side->loop) - order);
        }
    }
    std::copy(sorted, sorted + loop_count_, loops_);
}

// The smallest part of the result that the innermost loops write without gaps.
void Copy::find_region() {
    int64_t bytes = word_, span = word_;
    for (const Side *side : {&row_, &column_, &more_}) {
        bytes *= side->tile;
        span += (side->tile - 1) * side->dimension.out;
    }
    region_loops_ = loop_count_;
    while (bytes != span && region_loops_ > 0) {
        const Loop &loop = loops_[--region_loops_];
        bytes *= loop.count;
        span += (loop.count - 1) * loop.out;
    }
    const bool is_long = rows_are_alike_ && row_.tile * word_ >= MIN_BYTES_OF_RUN;
    const bool is_interleaved = !rows_are_alike_ && row_.dimension.length <= MAX_COLUMNS_IN_ORDER;
    if ((reads_in_order_ || is_long || is_interleaved) && bytes == span && bytes <= MAX_BYTES_OF_REGION) region_bytes_ = bytes;
}

void Copy::prepare(int threads) {
    if (!region_bytes_) pages_.provide_all(threads);
}

void Copy::copy_rows(const char *in, char *out, Tile tile, char *buffer, bool streams) const {
    const Dimension &row = row_.dimension, &column = column_.dimension;
    if (row.in != word_ || row.out != word_) {
        return transpose_tile_(word_, in, out, {row.in, row.out, column.in, column.out}, tile.rows, tile.columns);
    }
    const int64_t bytes = tile.rows * word_;
    if (streams && bytes >= MIN_BYTES_OF_RUN) {
        for (int64_t j = 0; j < tile.columns; ++j) stream(out + j * column.out, in + j * column.in, bytes);
        return;
    }
    const bool is_one_run = streams && column.out == bytes && bytes * tile.columns <= BUFFER_BYTES;
    char *to = is_one_run ? buffer : out;
    for (int64_t j = 0; j < tile.columns; ++j) {
        if (bytes >= CACHE_LINE) __builtin_prefetch(in + j * column.in + bytes + CACHE_LINE);
        copy_row(to + j * column.out, in + j * column.in, bytes);
    }
    if (is_one_run) stream(out, buffer, bytes * tile.columns);
}

void Copy::copy_all_rows(const char *in, char *out, Tile tile, char *buffer, bool streams) const {
    for (int64_t i = 0; i < tile.more; ++i) {
        copy_rows(in + i * more_.dimension.in, out + i * more_.dimension.out, tile, buffer, streams);
    }
}

void Copy::copy_tile(const char *in, char *out, Tile tile, char *buffer, bool streams) const {
    const Dimension &row = row_.dimension, &column = column_.dimension, &more = more_.dimension;
    const int64_t row_bytes = tile.rows * word_;
    if (!streams || reads_in_order_ || row.out != word_) {
        for (int64_t i = 0; i < tile.more; ++i) {
            transpose_tile_(word_, in + i * more.in, out + i * more.out, {row.in, row.out, column.in, column.out}, tile.rows,
                      tile.columns);
        }
        return;
    }
    const int64_t run = row_bytes * tile.more;
    const bool is_one_run = column.out == run;
    // the columns of the buffer are in different sets of the cache
    const int64_t pitch = is_one_run ? run : (run + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE + CACHE_LINE;
    for (int64_t i = 0; i < tile.more; ++i) {
        transpose_tile_(word_, in + i * more.in, buffer + i * row_bytes, {row.in, word_, column.in, pitch}, tile.rows,
                  tile.columns);
    }
    if (is_one_run) return stream(out, buffer, run * tile.columns);
    for (int64_t j = 0; j < tile.columns; ++j) stream(out + j * column.out, buffer + j * pitch, run);
}

void Copy::run(int64_t first, int64_t last) {
    alignas(CACHE_LINE) char buffer[2 * BUFFER_BYTES];
    int64_t index[PLAIT_MAX_RANK + 4];
    const char *in = in_;
    char *out = out_;
    char *region = out_;
    int64_t rest = first;
    for (int i = loop_count_ - 1; i >= 0; --i) {
        index[i] = rest % loops_[i].count;
        rest /= loops_[i].count;
        in += index[i] * loops_[i].in;
        out += index[i] * loops_[i].out;
        if (i < region_loops_) region += index[i] * loops_[i].out;
    }
    bool is_new_region = region_bytes_, streams = streams_;
    for (int64_t unit = first; unit < last; ++unit) {
        if (is_new_region) {
            streams = streams_ && !pages_.provide(region, region + region_bytes_ - 1);
            is_new_region = false;
        }
        const Tile tile{length_of(row_, index), length_of(column_, index), length_of(more_, index)};
        if (rows_are_alike_) copy_all_rows(in, out, tile, buffer, streams);
        else copy_tile(in, out, tile, buffer, streams);
        for (int i = loop_count_ - 1; i >= 0; --i) {
            in += loops_[i].in;
            out += loops_[i].out;
            if (++index[i] < loops_[i].count) {
                if (i < region_loops_ && region_bytes_) {
                    region = out;
                    is_new_region = true;
                }
                break;
            }
            in -= loops_[i].in * loops_[i].count;
            out -= loops_[i].out * loops_[i].count;
            index[i] = 0;
        }
    }
    if (streams_) finish_streams();
}

}  // namespace plait
