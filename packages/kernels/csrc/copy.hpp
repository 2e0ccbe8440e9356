// Copies between arrays of any strides.
#pragma once

#include "layout.hpp"
#include "pages.hpp"
#include "transpose.hpp"

namespace plait {

// A copy of words of 1, 2, 4, 8 or 16 bytes, divided into units that can be computed in any order.
//
// A unit is a tile of rows by columns, where rows are innermost in the result and columns in the source. If the result
// is larger than the caches, and its pages are not in the caches because they are new, a tile is put together in a
// buffer and then written past the caches, in runs that are as long as possible: a third dimension, which continues the
// rows in the result, makes them longer.
class Copy {
public:
    // `layout` is coalesced, and its innermost dimensions have elements of `word` bytes. `pages` are the result's.
    Copy(const Layout &layout, int64_t word, TransposeTile transpose_tile, Pages &pages);

    // Provides what must be provided before the units are computed.
    void prepare(int threads);

    int64_t units() const { return units_; }

    // The bytes that are read, and as many that are written.
    int64_t bytes() const { return bytes_; }

    // Computes the units from `first` until before `last`.
    void run(int64_t first, int64_t last);

private:
    struct Loop {
        int64_t count, in, out;
    };

    // A dimension of tiles, the length of a tile, and the loop over tiles, or -1.
    struct Side {
        Dimension dimension;
        int64_t tile = 1;
        int loop = -1;
    };

    // The lengths of one tile.
    struct Tile {
        int64_t rows, columns, more;
    };

    void add_loop(int64_t count, int64_t in, int64_t out);
    void add_tile_loop(Side &side);
    int64_t length_of(const Side &side, const int64_t *index) const;
    void sort_loops();
    void find_region();
    void choose_rows(const Layout &layout);
    void choose_tiles(const Layout &layout, int column);
    void copy_rows(const char *in, char *out, Tile tile, char *buffer, bool streams) const;
    void copy_all_rows(const char *in, char *out, Tile tile, char *buffer, bool streams) const;
    void copy_tile(const char *in, char *out, Tile tile, char *buffer, bool streams) const;

    Loop loops_[PLAIT_MAX_RANK + 4];
    int loop_count_ = 0;
    const char *in_;
    char *out_;
    int64_t word_, units_ = 1, bytes_;
    Side row_, column_, more_;
    bool rows_are_alike_;  // the innermost dimension is the same in the source and in the result
    bool reads_in_order_ = false;  // a few columns are separated, in the order of the source
    bool streams_;         // whether results are written past the caches, unless they are in new pages
    TransposeTile transpose_tile_;
    Pages &pages_;
    int region_loops_;     // the loops outside of regions of the result, each of which is written whole before the next
    int64_t region_bytes_ = 0;  // 0: there are no such regions that the caches hold
};

}  // namespace plait
