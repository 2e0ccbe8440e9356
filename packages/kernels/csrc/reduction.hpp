// Loops over the rows of a reduction, for any operation.
//
// A row is a run of the source in the order of its memory: the innermost dimensions, whether they are kept or reduced.
// Each element of a row is added to an accumulator of its own, which is one vectorised loop without shuffling; when all
// rows of a result are done, the accumulators of the row's reduced dimensions are merged. So one loop serves sums of
// rows, of channels and of windows. If a row has one result, its elements share `BLOCK` accumulators.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "layout.hpp"
#include "operation.hpp"
#include "pages.hpp"

namespace plait {

class Reduction {
public:
    // `layout` is coalesced. With `writes_rows` it is a softmax, whose result has all dimensions. `pages` are
    // the result's.
    Reduction(const Layout &layout, const Operation &operation, bool writes_rows, Pages &pages);

    // Parts of the work that can be computed in any order. They depend on the shape alone, so that the bits of a
    // result do not depend on the number of threads.
    int64_t units() const { return outer_.steps * splits_; }

    // Allocates what the units share; false if there is no memory.
    bool prepare();

    // Computes the units from `first` until before `last`.
    void run(int64_t first, int64_t last);

    // Combines the partial results of units; called once, after all units.
    void finish();

    // Whether the units must run once more: a gradient that needs sums of more elements than one unit has adds them first.
    bool starts_second_pass();

    bool failed() const { return failed_.load(std::memory_order_relaxed); }

private:
    struct Loops {
        Dimension loop[PLAIT_MAX_RANK + 3];
        int count = 0;
        int64_t steps = 1;

        void add(const Dimension &dimension);
    };

    // A dimension that is divided into tiles of `length`; the last one has `last`.
    struct Tiles {
        int64_t length = 1, last = 1, count = 1;

        Tiles() = default;
        Tiles(int64_t total, int64_t most, int64_t multiple);
        Dimension loop_over(const Dimension &dimension) const;
    };

    // Where a unit is: the addresses of its first element, the index of that element, how long the outermost dimension
    // of its rows is, and how many live results it has.
    struct Place {
        const char *in;
        char *out;
        int64_t index;
        int64_t extent;
        int64_t live;
        const char *result, *gradient;  // of the first result, for a gradient
    };

    // Results that are evenly apart, for a gradient: their number, and their strides and those of their gradients.
    struct OperandRun {
        int64_t length, result, gradient;
    };

    // The steps of the reduced loops from `first` until before `last`.
    struct Steps {
        int64_t first, last;
    };

    struct Scratch;

    int64_t min_length_of_long_row(int64_t length) const;
    int64_t max_kept_row(const Layout &layout) const;
    void choose_row(const Layout &layout);
    void divide_into_windows(const Layout &layout, Dimension *taken, int &count);
    void choose_loops(const Layout &layout);
    void choose_splits();
    void fill_tables(int dimension, int64_t lane, int64_t result, int64_t offset, int64_t index, bool is_first);
    Place place_of(int64_t outer_unit) const;
    Steps steps_of_split(int64_t split) const;
    double elements_of(Steps steps) const;
    int64_t offset_of(int64_t step) const;
    const char *first_row_of(int64_t unit) const;
    template <class Function>
    void for_each_row(const Place &place, Steps steps, int64_t distance, Function function) const;
    template <class Function>
    void for_each_row_of_group(const Place &place, int64_t first_live, Steps steps, int64_t distance,
                               Function function) const;
    template <class Function>
    void call_for_long_row(Rows rows, int64_t length, int64_t live, Function function) const;
    void fold(const Pass &pass, const Place &place, Accumulators rows) const;
    void add_rows(const Pass &pass, const Place &place, Steps steps, int64_t distance, bool are_new,
                  Accumulators rows) const;
    void find_pivots(const Place &place, Steps steps, Accumulators rows, Accumulators results) const;
    void collect(const Place &place, Accumulators rows, Accumulators results, int first_plane, int last_plane) const;
    void spread(const Place &place, Accumulators results, Accumulators rows, int planes) const;
    void run_unit(int64_t unit, Scratch &scratch);
    bool has_pivot() const { return operation_.pivot_pass.add; }
    bool has_exact_pivot() const { return has_pivot() && !operation_.pivot_is_approximate; }
    bool needs_second_pass() const { return operation_.load && operation_.pass.add && splits_ > 1; }
    bool prepare_gradient();
    void load(const Place &place, Accumulators results) const;
    void repeat(const Place &place, Accumulators results, Accumulators rows, int first_plane, int last_plane,
                char *spare) const;
    void run_unit_of_gradient(int64_t unit, Scratch &scratch);
    void write(const Place &place, Accumulators results, double elements) const;
    void write_rows(const Place &place, Steps steps, Accumulators rows) const;
    Accumulators partial(int64_t unit) const;
    int64_t results_at(const Place &place) const { return row_tiles_are_kept_ ? place.extent * inner_results_ : results_; }
    Accumulators row_at(Accumulators rows, int64_t live) const { return rows.from(live * lanes_, operation_.sizes); }
    Accumulators result_at(Accumulators all, int64_t live) const { return all.from(live * results_, operation_.sizes); }

    const Operation &operation_;
    const bool writes_rows_;
    Pages &pages_;
    const char *in_;
    char *out_;
    int64_t index_;
    const char *result_, *gradient_;

    // The row: its dimensions from the outermost, and for each how many accumulators one step skips.
    Dimension row_[PLAIT_MAX_RANK + 1];
    int64_t inside_[PLAIT_MAX_RANK + 1];
    int row_rank_ = 0;
    int outside_rank_ = 0;      // how many dimensions of the layout are outside of the row
    int64_t width_ = 1;         // elements of a window, which are adjacent and have one result
    int64_t row_length_ = 1;    // windows of a full row
    bool reads_in_strips_ = false;
    bool is_long_ = false;      // whether it has one result, and its elements share accumulators
    int64_t lanes_ = 1;         // accumulators of a full row
    int64_t row_stride_, row_out_stride_;
    Tiles row_tiles_;           // of the outermost dimension of the row
    bool row_tiles_are_kept_ = false;
    int64_t results_ = 1, inner_results_ = 1;  // results of a full row, and of one step of its outermost dimension

    Loops outer_, reduced_, live_;
    Tiles live_tiles_;          // of the outermost live dimension
    int64_t lives_of_group_ = 1;  // live results whose rows lie inside each other; one group is read after the other
    int row_tile_loop_ = -1, live_tile_loop_ = -1;  // the outer loops over tiles
    int64_t elements_per_step_ = 1;   // that each result gets
    int64_t splits_ = 1, chunk_ = 1;  // chunk_: steps of the reduced loops that are read while the next ones are fetched

    // By result of a row: the offset of its element. By accumulator: its result, and what it adds to the index. By live
    // result: the offsets of its row and of its element.
    std::unique_ptr<int64_t[]> offsets_, result_of_, indices_, live_in_, live_out_;
    std::unique_ptr<int64_t[]> live_result_, live_gradient_;  // the same of the operands of a gradient
    OperandRun operand_runs_[PLAIT_MAX_RANK + 1];  // of the results of a row
    int operand_run_count_ = 0;
    bool is_second_pass_ = false;
    // Results of a row, and live results whose rows have only such results, that are `run_stride_` bytes apart.
    int64_t run_ = 1, live_run_ = 1, run_stride_ = 0;
    std::unique_ptr<char[]> partials_;
    int64_t partial_bytes_ = 0;
    std::atomic<bool> failed_{false};
};

}  // namespace plait
