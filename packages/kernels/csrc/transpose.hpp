// Copies of tiles whose innermost dimension is another one in the source than in the result.
#pragma once

#include <cstdint>

namespace plait {

// The strides of a tile, in bytes: `rows` are adjacent in the result and `columns` in the source, if their strides are
// those of a word.
struct TileStrides {
    int64_t row_in, row_out, column_in, column_out;
};

// Copies a tile of words of 1, 2, 4, 8 or 16 bytes.
typedef void (*TransposeTile)(int64_t word, const char *from, char *to, const TileStrides &by, int64_t rows,
                              int64_t columns);

namespace baseline {
void transpose_tile(int64_t word, const char *from, char *to, const TileStrides &by, int64_t rows, int64_t columns);
}
namespace avx2 {
void transpose_tile(int64_t word, const char *from, char *to, const TileStrides &by, int64_t rows, int64_t columns);
}
namespace avx512 {
void transpose_tile(int64_t word, const char *from, char *to, const TileStrides &by, int64_t rows, int64_t columns);
}

}  // namespace plait
