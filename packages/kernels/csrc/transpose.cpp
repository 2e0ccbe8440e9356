// Compiled once for each instruction set.
#include "transpose.hpp"

#include <cstring>

#include "vectorize.hpp"

namespace plait {
namespace PLAIT_INSTRUCTION_SET {
namespace {

constexpr int64_t CACHE_LINE = 64;

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

// Places of the cache lines of the tile that will probably be the next one, whose columns follow those of this one. They
// are fetched row by row, which main memory delivers faster than lines of all rows in turn, and two lines ahead at least.
class NextTile {
public:
    NextTile(const char *from, int64_t row_in, int64_t column_bytes) : row_in_(row_in) {
        lines_ = (column_bytes + CACHE_LINE - 1) / CACHE_LINE;
        row_ = from + (lines_ == 1 ? 2 : lines_) * CACHE_LINE;
    }

    void fetch_line() {
        __builtin_prefetch(row_ + line_ * CACHE_LINE);
        if (++line_ < lines_) return;
        line_ = 0;
        row_ += row_in_;
    }

private:
    const char *row_;
    int64_t row_in_, lines_, line_ = 0;
};

template <class Word>
void copy_by_words(const char *from, char *to, const TileStrides &by, int64_t rows, int64_t columns) {
    for (int64_t j = 0; j < columns; ++j) {
        const char *source = from + j * by.column_in;
        char *result = to + j * by.column_out;
        for (int64_t i = 0; i < rows; ++i) store(result + i * by.row_out, load<Word>(source + i * by.row_in));
    }
}

// Interleaves a few rows: their words are adjacent in the result.
template <class Word, int ROWS>
void interleave(const char *__restrict from, char *__restrict to, const TileStrides &by, int64_t columns) {
    constexpr int64_t SIZE = sizeof(Word);
    const int64_t in = by.row_in;
    PLAIT_VECTORIZE
    for (int64_t j = 0; j < columns; ++j) {
        for (int i = 0; i < ROWS; ++i) store(to + (j * ROWS + i) * SIZE, load<Word>(from + i * in + j * SIZE));
    }
}

// Separates a few columns, whose words are adjacent in the source.
template <class Word, int COLUMNS>
void deinterleave(const char *__restrict from, char *__restrict to, const TileStrides &by, int64_t rows) {
    constexpr int64_t SIZE = sizeof(Word);
    const int64_t out = by.column_out;
    PLAIT_VECTORIZE
    for (int64_t i = 0; i < rows; ++i) {
        for (int j = 0; j < COLUMNS; ++j) store(to + j * out + i * SIZE, load<Word>(from + (i * COLUMNS + j) * SIZE));
    }
}

template <class Word>
void transpose(const char *from, char *to, const TileStrides &by, int64_t rows, int64_t columns) {
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
            NextTile next(from, by.row_in, whole_columns * SIZE);
            // Line by line of the source, each of which is read whole: adjacent rows may belong to one set of the
            // cache, which holds few of them.
            for (int64_t line = 0; line < whole_columns; line += LINE) {
                const int64_t end = least(line + LINE, whole_columns);
                for (int64_t i = 0; i < whole_rows; i += N) {
                    const char *rows_from = from + i * by.row_in;
                    for (int64_t k = 0; k < N; ++k) next.fetch_line();
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

}  // namespace

void transpose_tile(int64_t word, const char *from, char *to, const TileStrides &by, int64_t rows, int64_t columns) {
    switch (word) {
        case 1: return transpose<uint8_t>(from, to, by, rows, columns);
        case 2: return transpose<uint16_t>(from, to, by, rows, columns);
        case 4: return transpose<uint32_t>(from, to, by, rows, columns);
        case 8: return transpose<uint64_t>(from, to, by, rows, columns);
        default: return transpose<Word16>(from, to, by, rows, columns);
    }
}

}  // namespace PLAIT_INSTRUCTION_SET
}  // namespace plait
