#include "copy.hpp"

#include <algorithm>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace plait {
namespace {

constexpr int64_t CACHE_LINE = 64;
constexpr int64_t BYTES_OF_UNIT = 1 << 14;    // enough that a unit hides its overhead
constexpr int64_t MIN_BYTES_TO_STREAM = 1 << 24;  // results that the caches do not hold
constexpr int64_t RUN_BYTES = 1 << 11;        // of a result that are written at once
constexpr int64_t MIN_BYTES_OF_RUN = 1 << 12;  // shorter rows are put together before they are streamed
constexpr int64_t BUFFER_BYTES = 1 << 14;
constexpr int64_t PREFETCH_BYTES = 2 * CACHE_LINE;  // ahead of what is read

inline int64_t magnitude(int64_t value) { return value < 0 ? -value : value; }

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

struct Word16 {
    uint64_t low, high;
};

template <class Word>
inline Word load(const char *address) {
    Word word;
    std::memcpy(&word, address, sizeof word);
    return word;
}

template <class Word>
inline void store(char *address, Word word) {
    std::memcpy(address, &word, sizeof word);
}

// Transposes blocks of 16 bytes by 16 bytes in registers: `N` words of each of `N` rows.
template <class Word>
struct Block {
    static constexpr int N = 16 / sizeof(Word);
    typedef Word Vector __attribute__((vector_size(16)));

    static Vector low(Vector a, Vector b) {
        if constexpr (N == 2) return __builtin_shufflevector(a, b, 0, 2);
        else if constexpr (N == 4) return __builtin_shufflevector(a, b, 0, 4, 1, 5);
        else if constexpr (N == 8) return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
        else return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    }

    static Vector high(Vector a, Vector b) {
        if constexpr (N == 2) return __builtin_shufflevector(a, b, 1, 3);
        else if constexpr (N == 4) return __builtin_shufflevector(a, b, 2, 6, 3, 7);
        else if constexpr (N == 8) return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
        else return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }

    // `in` steps from row to row of the source, whose words are adjacent; `out` likewise for the result.
    static void transpose(const char *from, int64_t in, char *to, int64_t out) {
        Vector rows[N], next[N];
        for (int i = 0; i < N; ++i) rows[i] = load<Vector>(from + i * in);
        for (int round = 1; round < N; round *= 2) {  // each interleaves the first half of the rows with the second
            for (int i = 0; i < N / 2; ++i) {
                next[2 * i] = low(rows[i], rows[i + N / 2]);
                next[2 * i + 1] = high(rows[i], rows[i + N / 2]);
            }
            for (int i = 0; i < N; ++i) rows[i] = next[i];
        }
        for (int i = 0; i < N; ++i) store(to + i * out, rows[i]);
    }
};

// Copies bytes to memory past the caches, which need not be read then.
inline void stream(char *to, const char *from, int64_t bytes) {
#if defined(__SSE2__)
    const int64_t head = (64 - reinterpret_cast<uintptr_t>(to) % 64) % 64;
    if (bytes >= 128) {
        std::memcpy(to, from, head);
        int64_t i = head;
        for (; i + 64 <= bytes; i += 64) {
            const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from + i));
            const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from + i + 16));
            const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from + i + 32));
            const __m128i d = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from + i + 48));
            _mm_stream_si128(reinterpret_cast<__m128i *>(to + i), a);
            _mm_stream_si128(reinterpret_cast<__m128i *>(to + i + 16), b);
            _mm_stream_si128(reinterpret_cast<__m128i *>(to + i + 32), c);
            _mm_stream_si128(reinterpret_cast<__m128i *>(to + i + 48), d);
        }
        std::memcpy(to + i, from + i, bytes - i);
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
    else if (bytes >= 16) copy_both_ends<Word16>(to, from, bytes);
    else if (bytes >= 8) copy_both_ends<uint64_t>(to, from, bytes);
    else copy_both_ends<uint32_t>(to, from, bytes);
}

// Makes what was streamed visible to other threads before what is written later.
inline void finish_streams() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

// A tile between two places: `rows` are adjacent in the result and `columns` in the source, if the strides are those
// of a word.
struct Strides {
    int64_t row_in, row_out, column_in, column_out;
};

template <class Word>
void copy_by_words(const char *from, char *to, const Strides &by, int64_t rows, int64_t columns) {
    for (int64_t j = 0; j < columns; ++j) {
        const char *source = from + j * by.column_in;
        char *result = to + j * by.column_out;
        for (int64_t i = 0; i < rows; ++i) store(result + i * by.row_out, load<Word>(source + i * by.row_in));
    }
}

// Interleaves a few rows: their words are adjacent in the result.
template <class Word, int ROWS>
void interleave(const char *__restrict from, char *__restrict to, const Strides &by, int64_t columns) {
    const int64_t in = by.row_in;
    for (int64_t j = 0; j < columns; ++j) {
        for (int i = 0; i < ROWS; ++i) {
            store(to + (j * ROWS + i) * static_cast<int64_t>(sizeof(Word)),
                  load<Word>(from + i * in + j * static_cast<int64_t>(sizeof(Word))));
        }
    }
}

// Separates a few columns, whose words are adjacent in the source.
template <class Word, int COLUMNS>
void deinterleave(const char *__restrict from, char *__restrict to, const Strides &by, int64_t rows) {
    for (int j = 0; j < COLUMNS; ++j) {
        const char *__restrict source = from + j * static_cast<int64_t>(sizeof(Word));
        char *__restrict result = to + j * by.column_out;
        for (int64_t i = 0; i < rows; ++i) {
            store(result + i * static_cast<int64_t>(sizeof(Word)),
                  load<Word>(source + i * COLUMNS * static_cast<int64_t>(sizeof(Word))));
        }
    }
}

template <class Word>
void transpose(const char *from, char *to, const Strides &by, int64_t rows, int64_t columns) {
    constexpr int64_t SIZE = sizeof(Word);
    if constexpr (SIZE < 16) {
        const bool words_are_adjacent = by.column_in == SIZE && by.row_out == SIZE;
        if (words_are_adjacent && by.column_out == rows * SIZE) {
            if (rows == 2) return interleave<Word, 2>(from, to, by, columns);
            if (rows == 3) return interleave<Word, 3>(from, to, by, columns);
            if (rows == 4) return interleave<Word, 4>(from, to, by, columns);
        }
        if (words_are_adjacent && by.row_in == columns * SIZE) {
            if (columns == 2) return deinterleave<Word, 2>(from, to, by, rows);
            if (columns == 3) return deinterleave<Word, 3>(from, to, by, rows);
            if (columns == 4) return deinterleave<Word, 4>(from, to, by, rows);
        }
        constexpr int64_t N = Block<Word>::N, LINE = CACHE_LINE / SIZE;
        if (words_are_adjacent && rows >= N && columns >= N) {
            const int64_t whole_rows = rows / N * N, whole_columns = columns / N * N;
            // Line by line of the source, each of which is read whole: adjacent rows may belong to one set of the
            // cache, which holds few of them. The line after it is needed by the next columns.
            for (int64_t line = 0; line < whole_columns; line += LINE) {
                const int64_t end = least(line + LINE, whole_columns);
                for (int64_t i = 0; i < whole_rows; i += N) {
                    const char *rows_from = from + i * by.row_in;
                    for (int64_t k = 0; k < N; ++k) {
                        __builtin_prefetch(rows_from + k * by.row_in + line * SIZE + PREFETCH_BYTES);
                    }
                    for (int64_t j = line; j < end; j += N) {
                        Block<Word>::transpose(rows_from + j * SIZE, by.row_in, to + j * by.column_out + i * SIZE,
                                               by.column_out);
                    }
                }
            }
            copy_by_words<Word>(from + whole_rows * by.row_in, to + whole_rows * SIZE, by, rows - whole_rows,
                                whole_columns);
            copy_by_words<Word>(from + whole_columns * SIZE, to + whole_columns * by.column_out, by, rows,
                                columns - whole_columns);
            return;
        }
    }
    copy_by_words<Word>(from, to, by, rows, columns);
}

void transpose(int64_t word, const char *from, char *to, const Strides &by, int64_t rows, int64_t columns) {
    switch (word) {
        case 1: return transpose<uint8_t>(from, to, by, rows, columns);
        case 2: return transpose<uint16_t>(from, to, by, rows, columns);
        case 4: return transpose<uint32_t>(from, to, by, rows, columns);
        case 8: return transpose<uint64_t>(from, to, by, rows, columns);
        default: return transpose<Word16>(from, to, by, rows, columns);
    }
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

Copy::Copy(const Layout &layout, int64_t word) : in_(layout.in), out_(layout.out), word_(word) {
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
    if (row_.tile == row_.dimension.length && row_bytes == column_.dimension.out) {
        column_.tile = BUFFER_BYTES / row_bytes;  // whole rows follow each other, so that the tile is one run
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
    std::stable_sort(order, order + loop_count_, [this](int a, int b) {
        return least(magnitude(loops_[a].in), magnitude(loops_[a].out)) >
               least(magnitude(loops_[b].in), magnitude(loops_[b].out));
    });
    for (int i = 0; i < loop_count_; ++i) sorted[i] = loops_[order[i]];
    for (Side *side : {&row_, &column_, &more_}) {
        if (side->loop >= 0) {
            side->loop = static_cast<int>(std::find(order, order + loop_count_, side->loop) - order);
        }
    }
    std::copy(sorted, sorted + loop_count_, loops_);
}

void Copy::copy_rows(const char *in, char *out, Tile tile, char *buffer) const {
    const Dimension &row = row_.dimension, &column = column_.dimension;
    if (row.in != word_ || row.out != word_) {
        return transpose(word_, in, out, {row.in, row.out, column.in, column.out}, tile.rows, tile.columns);
    }
    const int64_t bytes = tile.rows * word_;
    if (streams_ && bytes >= MIN_BYTES_OF_RUN) {
        for (int64_t j = 0; j < tile.columns; ++j) stream(out + j * column.out, in + j * column.in, bytes);
        return;
    }
    const bool is_one_run = streams_ && column.out == bytes && bytes * tile.columns <= BUFFER_BYTES;
    char *to = is_one_run ? buffer : out;
    for (int64_t j = 0; j < tile.columns; ++j) {
        if (bytes >= CACHE_LINE) __builtin_prefetch(in + j * column.in + bytes + CACHE_LINE);
        copy_row(to + j * column.out, in + j * column.in, bytes);
    }
    if (is_one_run) stream(out, buffer, bytes * tile.columns);
}

void Copy::copy_all_rows(const char *in, char *out, Tile tile, char *buffer) const {
    for (int64_t i = 0; i < tile.more; ++i) {
        copy_rows(in + i * more_.dimension.in, out + i * more_.dimension.out, tile, buffer);
    }
}

void Copy::copy_tile(const char *in, char *out, Tile tile, char *buffer) const {
    const Dimension &row = row_.dimension, &column = column_.dimension, &more = more_.dimension;
    const int64_t row_bytes = tile.rows * word_;
    if (!streams_ || row.out != word_) {
        for (int64_t i = 0; i < tile.more; ++i) {
            transpose(word_, in + i * more.in, out + i * more.out, {row.in, row.out, column.in, column.out}, tile.rows,
                      tile.columns);
        }
        return;
    }
    const int64_t run = row_bytes * tile.more;
    const bool is_one_run = column.out == run;
    // the columns of the buffer are in different sets of the cache
    const int64_t pitch = is_one_run ? run : (run + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE + CACHE_LINE;
    for (int64_t i = 0; i < tile.more; ++i) {
        transpose(word_, in + i * more.in, buffer + i * row_bytes, {row.in, word_, column.in, pitch}, tile.rows,
                  tile.columns);
    }
    if (is_one_run) return stream(out, buffer, run * tile.columns);
    for (int64_t j = 0; j < tile.columns; ++j) stream(out + j * column.out, buffer + j * pitch, run);
}

void Copy::run(int64_t first, int64_t last) const {
    alignas(CACHE_LINE) char buffer[2 * BUFFER_BYTES];
    int64_t index[PLAIT_MAX_RANK + 4];
    const char *in = in_;
    char *out = out_;
    int64_t rest = first;
    for (int i = loop_count_ - 1; i >= 0; --i) {
        index[i] = rest % loops_[i].count;
        rest /= loops_[i].count;
        in += index[i] * loops_[i].in;
        out += index[i] * loops_[i].out;
    }
    for (int64_t unit = first; unit < last; ++unit) {
        const Tile tile{length_of(row_, index), length_of(column_, index), length_of(more_, index)};
        if (rows_are_alike_) copy_all_rows(in, out, tile, buffer);
        else copy_tile(in, out, tile, buffer);
        for (int i = loop_count_ - 1; i >= 0; --i) {
            in += loops_[i].in;
            out += loops_[i].out;
            if (++index[i] < loops_[i].count) break;
            in -= loops_[i].in * loops_[i].count;
            out -= loops_[i].out * loops_[i].count;
            index[i] = 0;
        }
    }
    if (streams_) finish_streams();
}

}  // namespace plait
