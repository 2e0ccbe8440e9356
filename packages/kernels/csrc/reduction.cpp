#include "reduction.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace plait {
namespace {

constexpr int64_t LONG_ROW_MIN = 448;             // shorter rows share the overhead of one
constexpr int64_t LONG_ROW_MIN_WITHOUT_WINDOWS = 192;
constexpr int64_t LONG_ROW_MAX = 1 << 14;         // elements of a row that has one result
constexpr int64_t KEPT_ROW_BYTES = 1 << 14;       // of a row whose elements all have results of their own
constexpr int64_t KEPT_ROW_BYTES_IN_STRIPS = 1 << 13;  // the same, of many rows that are read in strips
constexpr int64_t MIN_ROWS_OF_STRIPS = 8;
constexpr int64_t ROW_MIN = 128, ROW_MAX = 1024;  // elements of other rows
constexpr int64_t SHORT_WINDOW = 4;               // elements of a window that rows are made longer for
constexpr int64_t MAX_ACCUMULATORS = 4096;        // of all live results
constexpr int64_t MAX_BYTES_OF_GROUP = 1 << 11;   // of accumulators that are stored again for each row
constexpr int64_t CHUNK_BYTES = 1 << 18;          // what is read twice, or in another order than that of the memory
constexpr int64_t MAX_BYTES_OF_GRADIENT = 1 << 18;  // of a unit that is read twice
constexpr int64_t MIN_PIVOT_ELEMENTS = 8;         // of each result in which an approximate pivot is found
constexpr int64_t PIVOT_ROWS = 16;                // blocks of a long row in which an approximate pivot is found
constexpr int64_t ROWS_BETWEEN_CHECKS = 16;       // whether a result is decided already
constexpr int64_t MIN_UNITS = 64;                 // enough for every number of threads
constexpr int64_t MIN_BYTES_OF_SPLIT = 1 << 17;
constexpr int PREFETCHED_LINES = 8;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// The bytes of `count` accumulators.
int64_t bytes_of(const Operation &operation, int64_t count) {
    int64_t bytes = 0;
    for (int size : operation.sizes) bytes += aligned(size * count);
    return bytes;
}

Accumulators accumulators_at(char *memory, const Operation &operation, int64_t count) {
    Accumulators accumulators;
    for (int i = 0; i < PLANES; ++i) {
        accumulators.plane[i] = memory;
        memory += aligned(operation.sizes[i] * count);
    }
    return accumulators;
}

char *align(char *memory) { return memory + (64 - reinterpret_cast<uintptr_t>(memory) % 64) % 64; }

// Fills each run of `run` accumulators with the number at its place; there are `count` accumulators.
template <class T>
void spread_numbers(char *to, const char *from, const int64_t *places, int64_t count, int64_t run) {
    T *numbers = reinterpret_cast<T *>(to);
    const T *values = reinterpret_cast<const T *>(from);
    for (int64_t i = 0; i < count; i += run) {
        const T value = values[places[i]];
        for (int64_t j = 0; j < run; ++j) numbers[i + j] = value;
    }
}

// The same for numbers of `size` bytes.
void spread_numbers(int size, char *to, const char *from, const int64_t *places, int64_t count, int64_t run) {
    switch (size) {
        case 1: return spread_numbers<uint8_t>(to, from, places, count, run);
        case 2: return spread_numbers<uint16_t>(to, from, places, count, run);
        case 4: return spread_numbers<uint32_t>(to, from, places, count, run);
        case 8: return spread_numbers<uint64_t>(to, from, places, count, run);
        default: return;
    }
}

// Fetches the beginning of the next row, which is elsewhere; the processor then fetches the rest by itself.
void prefetch_next(const char *row, const char *next) {
    if (next - row < (1 << 15) && row - next < (1 << 15)) return;
    for (int i = 0; i < PREFETCHED_LINES; ++i) __builtin_prefetch(next + 64 * i);
}

template <class T>
std::unique_ptr<T[]> allocate(int64_t count) {
    return std::unique_ptr<T[]>(new (std::nothrow) T[count]);
}

// Whether a row that is long enough should be longer by `room` steps of the next dimension at most: by windows of a few
// elements whole, and by more results, so that more elements share the overhead of a row.
bool makes_row_better(const Dimension &next, int64_t room) {
    return !next.reduced && room > 1;
}

}  // namespace

// The memory of one thread: the accumulators of rows, of results, and of the results of a chunk.
struct Reduction::Scratch {
    std::unique_ptr<char[]> memory;
    Accumulators rows, results, chunk;
    char *spare;  // for one plane of a row

    Scratch(const Operation &operation, int64_t row_count, int64_t result_count, int64_t spare_bytes) {
        const int64_t rows_bytes = bytes_of(operation, row_count), result_bytes = bytes_of(operation, result_count);
        memory = allocate<char>(rows_bytes + 2 * result_bytes + spare_bytes + 64);
        if (!memory) return;
        char *start = align(memory.get());
        rows = accumulators_at(start, operation, row_count);
        results = accumulators_at(start + rows_bytes, operation, result_count);
        chunk = accumulators_at(start + rows_bytes + result_bytes, operation, result_count);
        spare = start + rows_bytes + 2 * result_bytes;
    }
};

void Reduction::Loops::add(const Dimension &dimension) {
    loop[count++] = dimension;
    steps *= dimension.length;
}

// Tiles of equal lengths as far as possible, at most `most`, which are multiples of `multiple` but for the last one.
Reduction::Tiles::Tiles(int64_t total, int64_t most, int64_t multiple) {
    length = ceil_div(ceil_div(total, ceil_div(total, most)), multiple) * multiple;
    length = least(length, total);
    count = ceil_div(total, length);
    last = total - (count - 1) * length;
}

Dimension Reduction::Tiles::loop_over(const Dimension &dimension) const {
    return {count, length * dimension.in, length * dimension.out, dimension.reduced, length * dimension.weight,
            length * dimension.result, length * dimension.gradient};
}

Reduction::Reduction(const Layout &layout, const Operation &operation, bool writes_rows, Pages &pages)
    : operation_(operation), writes_rows_(writes_rows), pages_(pages), in_(layout.in), out_(layout.out),
      index_(layout.index), result_(layout.result), gradient_(layout.gradient) {
    choose_row(layout);
    choose_loops(layout);
    choose_splits();
    elements_per_step_ = row_length_ * width_ / results_;
}

// The length from which a row that has one result is better computed alone: it shares the overhead of a row with no other,
// but needs no accumulators for each of its elements, or for each of their windows.
int64_t Reduction::min_length_of_long_row(int64_t length) const {
    if (operation_.load) return LONG_ROW_MIN;
    if (operation_.max_width < 2) return BLOCK;
    return length % operation_.max_width == 0 ? LONG_ROW_MIN : LONG_ROW_MIN_WITHOUT_WINDOWS;
}

// The most elements of a row that all have results of their own.
int64_t Reduction::max_kept_row(const Layout &layout) const {
    int64_t rows = 1;
    for (int i = 0; i < layout.rank; ++i) {
        if (layout.dimensions[i].reduced) rows *= layout.dimensions[i].length;
    }
    const bool in_strips = has_pivot() && rows >= MIN_ROWS_OF_STRIPS;
    return (in_strips ? KEPT_ROW_BYTES_IN_STRIPS : KEPT_ROW_BYTES) / operation_.in_size;
}

// Takes dimensions from the innermost on while one continues the other, and divides the last one if it is too long.
// A long reduced dimension is a row alone.
void Reduction::choose_row(const Layout &layout) {
    Dimension taken[PLAIT_MAX_RANK + 1];
    int count = 0;
    outside_rank_ = layout.rank;
    row_stride_ = operation_.in_size;
    row_out_stride_ = operation_.out_size;
    if (layout.rank && layout.dimensions[layout.rank - 1].reduced &&
        layout.dimensions[layout.rank - 1].length >= min_length_of_long_row(layout.dimensions[layout.rank - 1].length)) {
        const Dimension &only = layout.dimensions[--outside_rank_];
        row_tiles_ = Tiles(only.length, LONG_ROW_MAX, BLOCK);
        row_length_ = row_tiles_.length;
        row_stride_ = only.in;
        row_out_stride_ = only.out;
        lanes_ = BLOCK;
        is_long_ = true;
        row_[0] = {BLOCK, only.in, only.out, true, only.weight};
        inside_[0] = 1;
        row_rank_ = 1;
        return;
    }
    while (outside_rank_ > 0) {
        const Dimension &next = layout.dimensions[outside_rank_ - 1];
        if (row_length_ >= ROW_MIN && !makes_row_better(next, ROW_MAX / row_length_)) break;
        if (count == 0) {
            row_stride_ = next.in;
            row_out_stride_ = next.out;
        } else if (next.in != row_length_ * row_stride_ || (writes_rows_ && next.out != row_length_ * row_out_stride_)) {
            break;
        }
        row_tiles_ = Tiles(next.length, count == 0 && !next.reduced ? max_kept_row(layout) : ROW_MAX / row_length_, 1);
        taken[count] = next;
        taken[count++].length = row_tiles_.length;
        row_length_ *= row_tiles_.length;
        --outside_rank_;
        if (row_tiles_.count > 1) break;
    }
    if (count > 1 && taken[0].reduced) divide_into_windows(layout, taken, count);
    int64_t inside = row_length_;
    for (int i = 0; i < count; ++i) {
        row_[i] = taken[count - 1 - i];
        inside /= row_[i].length;
        inside_[i] = inside;
        if (!row_[i].reduced) results_ *= row_[i].length;
    }
    row_rank_ = count;
    lanes_ = row_length_;
    row_tiles_are_kept_ = count > 0 && !row_[0].reduced;
    inner_results_ = row_tiles_are_kept_ ? results_ / row_[0].length : results_;
}

// Makes windows of the innermost dimension, whose elements are added to one accumulator: of a short dimension, or of parts
// of a longer one unless many rows are added, since accumulators of elements take less time for each row.
void Reduction::divide_into_windows(const Layout &layout, Dimension *taken, int &count) {
    Dimension &inner = taken[0];
    if (inner.length > operation_.max_width) {
        for (int i = 0; i < outside_rank_; ++i) {
            if (layout.dimensions[i].reduced) return;
        }
    }
    width_ = least(inner.length, operation_.max_width);
    while (inner.length % width_) --width_;
    row_length_ /= width_;
    inner.length /= width_;
    inner.in *= width_;
    if (inner.length > 1) return;
    std::copy(taken + 1, taken + count, taken);
    --count;
}

// Kept loops inside of reduced ones are live, that is, all their results are accumulated at once, as long as there are
// few. So are loops outside of them, in groups, if the elements of a result are so few that several results share the
// overhead of a unit. The other kept loops are outermost.
void Reduction::choose_loops(const Layout &layout) {
    Dimension loops[PLAIT_MAX_RANK + 3];
    int count = 0;
    for (int i = 0; i < outside_rank_; ++i) loops[count++] = layout.dimensions[i];
    const bool has_row_tiles = row_tiles_.count > 1;
    int64_t group_bytes = row_length_ * width_ * operation_.in_size, groups = 1;
    int first_reduced = 0;
    while (first_reduced < count && !loops[first_reduced].reduced) groups *= loops[first_reduced++].length;
    for (int i = first_reduced; i < count && group_bytes < CHUNK_BYTES; ++i) group_bytes *= least(loops[i].length, CHUNK_BYTES);
    if (has_row_tiles) group_bytes *= least(row_tiles_.count, CHUNK_BYTES);
    reads_in_strips_ = operation_.reads_in_strips && !is_long_ && width_ == 1;
    int innermost = count - 1;
    while (innermost >= 0 && !loops[innermost].reduced) --innermost;
    if (reads_in_strips_ && !has_pivot() && innermost >= 0) {
        Rows rows{};
        rows.length = row_length_;
        rows.step = loops[innermost].in;
        reads_in_strips_ = !rows.are_apart(operation_.in_size);
    }
    int64_t max_lives = CHUNK_BYTES / group_bytes;
    if (!reads_in_strips_) max_lives = least(max_lives, MAX_BYTES_OF_GROUP / bytes_of(operation_, lanes_));
    int first_live = count;
    int64_t room = MAX_ACCUMULATORS / lanes_;
    Dimension divided{};
    for (int i = count - 1; i >= 0 && room > 1; --i) {
        if (loops[i].reduced) continue;
        if (i < first_reduced) {
            room = least(least(room, max_lives), groups / MIN_UNITS);
            if (room <= 1) break;
            groups /= loops[i].length;
        }
        first_live = i;
        live_tiles_ = Tiles(loops[i].length, room, 1);
        room /= loops[i].length;
        if (i >= first_reduced) lives_of_group_ *= live_tiles_.length;
        if (live_tiles_.count > 1) {
            divided = live_tiles_.loop_over(loops[i]);
            loops[i].length = live_tiles_.length;
        }
    }
    for (int i = 0; i < count; ++i) {
        if (loops[i].reduced) {
            reduced_.add(loops[i]);
        } else if (i < first_live) {
            outer_.add(loops[i]);
        } else {
            if (i == first_live && live_tiles_.count > 1) {
                live_tile_loop_ = outer_.count;
                outer_.add(divided);
            }
            live_.add(loops[i]);
        }
    }
    if (has_row_tiles) {
        const Dimension &outermost = row_[0];
        if (row_tiles_are_kept_) row_tile_loop_ = outer_.count;
        (row_tiles_are_kept_ ? outer_ : reduced_).add(row_tiles_.loop_over(outermost));
    }
}

void Reduction::choose_splits() {
    const int64_t step_bytes = live_.steps * row_length_ * width_ * operation_.in_size;
    bool may_split = !writes_rows_ || operation_.load;
    if (operation_.load && operation_.pass.add && reduced_.steps * step_bytes <= MAX_BYTES_OF_GRADIENT) {
        may_split = false;  // a second pass over the unit finds it in the cache
    }
    if (outer_.steps < MIN_UNITS && may_split) {
        splits_ = least(ceil_div(MIN_UNITS, outer_.steps), reduced_.steps * step_bytes / MIN_BYTES_OF_SPLIT);
        splits_ = least(splits_, reduced_.steps);
        if (splits_ < 1) splits_ = 1;
        splits_ = ceil_div(reduced_.steps, ceil_div(reduced_.steps, splits_));
    }
    chunk_ = reduced_.steps;
    if (has_pivot() || reads_in_strips_) chunk_ = ceil_div(CHUNK_BYTES, step_bytes);
}

bool Reduction::prepare() {
    offsets_ = allocate<int64_t>(results_);
    result_of_ = allocate<int64_t>(lanes_);
    indices_ = allocate<int64_t>(lanes_);
    live_in_ = allocate<int64_t>(live_.steps);
    live_out_ = allocate<int64_t>(live_.steps);
    if (!offsets_ || !result_of_ || !indices_ || !live_in_ || !live_out_) return false;
    fill_tables(0, 0, 0, 0, 0, true);
    if (results_ > 1) run_stride_ = offsets_[1];
    while (run_ < results_ && offsets_[run_] == run_ * run_stride_) ++run_;
    if (results_ % run_) run_ = 1;
    for (int64_t i = 0; i < results_; ++i) {
        if (offsets_[i] != offsets_[i / run_ * run_] + i % run_ * run_stride_) run_ = 1;
    }
    for (int64_t live = 0; live < live_.steps; ++live) {
        int64_t rest = live, in = 0, out = 0;
        for (int i = live_.count - 1; i >= 0; --i) {
            in += rest % live_.loop[i].length * live_.loop[i].in;
            out += rest % live_.loop[i].length * live_.loop[i].out;
            rest /= live_.loop[i].length;
        }
        live_in_[live] = in;
        live_out_[live] = out;
    }
    if (results_ == 1 && live_.steps > 1) run_stride_ = live_out_[1];
    while (run_ == results_ && live_run_ < live_.steps && live_out_[live_run_] == live_run_ * results_ * run_stride_) {
        ++live_run_;
    }
    if (live_run_ < live_.steps) live_run_ = 1;
    if (operation_.load && !prepare_gradient()) return false;
    if (splits_ > 1 && (!operation_.load || needs_second_pass())) {
        partial_bytes_ = bytes_of(operation_, live_.steps * results_);
        partials_ = allocate<char>(units() * partial_bytes_ + 64);
        if (!partials_) return false;
    }
    return true;
}

// Fills the tables for the accumulators from `lane` on, which the dimensions of the row from `dimension` on have.
void Reduction::fill_tables(int dimension, int64_t lane, int64_t result, int64_t offset, int64_t index, bool is_first) {
    if (dimension == row_rank_) {
        result_of_[lane] = result;
        indices_[lane] = index;
        if (is_first) offsets_[result] = offset;
        return;
    }
    const Dimension &each = row_[dimension];
    for (int64_t step = 0; step < each.length; ++step) {
        const int64_t inner_result = each.reduced ? result : result * each.length + step;
        fill_tables(dimension + 1, lane + step * inside_[dimension], inner_result,
                    each.reduced ? offset : offset + step * each.out, index + step * each.weight,
                    is_first && (step == 0 || !each.reduced));
    }
}

Accumulators Reduction::partial(int64_t unit) const {
    return accumulators_at(align(partials_.get()) + unit * partial_bytes_, operation_, live_.steps * results_);
}

Reduction::Place Reduction::place_of(int64_t outer_unit) const {
    Place place{in_, out_, index_, row_rank_ && !is_long_ ? row_[0].length : 1, live_.steps, result_, gradient_};
    for (int i = outer_.count - 1; i >= 0; --i) {
        const int64_t length = outer_.loop[i].length, step = i ? outer_unit % length : outer_unit;
        if (i) outer_unit /= length;
        place.in += step * outer_.loop[i].in;
        place.out += step * outer_.loop[i].out;
        place.result += step * outer_.loop[i].result;
        place.gradient += step * outer_.loop[i].gradient;
        if (i == row_tile_loop_ && step == row_tiles_.count - 1) place.extent = row_tiles_.last;
        if (i == live_tile_loop_ && step == live_tiles_.count - 1) {
            place.live = live_.steps / live_tiles_.length * live_tiles_.last;
        }
    }
    return place;
}

// The address of what a unit reads first; that of the first unit if there is no such unit.
const char *Reduction::first_row_of(int64_t unit) const {
    if (unit >= units()) return in_;
    if (splits_ == 1) return place_of(unit).in;
    return place_of(unit / splits_).in + offset_of(steps_of_split(unit % splits_).first);
}

Reduction::Steps Reduction::steps_of_split(int64_t split) const {
    if (splits_ == 1) return {0, reduced_.steps};
    const int64_t each = ceil_div(reduced_.steps, splits_);
    return {split * each, least((split + 1) * each, reduced_.steps)};
}

// How many elements some steps add to each result.
double Reduction::elements_of(Steps steps) const {
    const int64_t per_step = elements_per_step_;
    int64_t elements = (steps.last - steps.first) * per_step;
    if (row_tiles_.count > 1 && !row_tiles_are_kept_) {  // the last tile may be shorter
        const int64_t last_tiles = steps.last / row_tiles_.count - steps.first / row_tiles_.count;
        elements -= last_tiles * (per_step / row_tiles_.length) * (row_tiles_.length - row_tiles_.last);
    }
    return static_cast<double>(elements);
}

// The offset of the first row of a step.
int64_t Reduction::offset_of(int64_t step) const {
    int64_t offset = 0;
    for (int i = reduced_.count - 1; i >= 0 && step; --i) {
        offset += step % reduced_.loop[i].length * reduced_.loop[i].in;
        step /= reduced_.loop[i].length;
    }
    return offset;
}

// Calls `function(live, rows)` for all rows, as many at once as are evenly apart. Rows that are `distance` bytes further
// are read next, unless it is 0.
template <class Function>
void Reduction::for_each_row(const Place &place, Steps steps, int64_t distance, Function function) const {
    for (int64_t live = 0; live < place.live; live += lives_of_group_) {
        for_each_row_of_group(place, live, steps, distance, function);
    }
}

template <class Function>
void Reduction::for_each_row_of_group(const Place &place, int64_t first_live, Steps steps, int64_t distance,
                                      Function function) const {
    const int64_t last_live = least(place.live, first_live + lives_of_group_);
    int64_t step[PLAIT_MAX_RANK + 3];
    const char *in = place.in;
    char *out = place.out;
    int64_t index = place.index, rest = steps.first;
    for (int i = reduced_.count - 1; i >= 0; --i) {
        const Dimension &loop = reduced_.loop[i];
        step[i] = rest ? rest % loop.length : 0;
        if (rest) rest /= loop.length;
        in += step[i] * loop.in;
        out += step[i] * loop.out;
        index += step[i] * loop.weight;
    }
    const bool has_tile_loop = row_tiles_.count > 1 && !row_tiles_are_kept_;
    const int inner = reduced_.count - 1;
    const Dimension none{1, 0, 0, true, 0};
    const Dimension &inner_loop = inner < 0 ? none : reduced_.loop[inner];
    for (int64_t number = steps.first; number < steps.last;) {
        const bool is_last_tile = has_tile_loop && step[inner] == row_tiles_.count - 1;
        int64_t count = 1;
        if (!is_long_ && lives_of_group_ == 1 && inner >= 0 && !is_last_tile) {
            count = least(steps.last - number, inner_loop.length - has_tile_loop - step[inner]);
        }
        for (int64_t live = first_live; live < last_live; ++live) {
            const char *data = in + live_in_[live];
            prefetch_next(data, live + 1 < last_live ? in + live_in_[live + 1] : data + count * inner_loop.in);
            Rows rows{data, count, inner_loop.in, 0, width_, row_stride_, index, inner_loop.weight, indices_.get(),
                      out + live_out_[live], inner_loop.out, row_out_stride_, distance ? data + distance : nullptr};
            if (is_long_) {
                call_for_long_row(rows, is_last_tile ? row_tiles_.last : row_length_, live, function);
            } else {
                rows.length = (is_last_tile ? row_tiles_.last : place.extent) * (row_rank_ ? inside_[0] : 1);
                function(live, rows);
            }
        }
        number += count;
        if (inner < 0) return;
        step[inner] += count;
        in += count * inner_loop.in;
        out += count * inner_loop.out;
        index += count * inner_loop.weight;
        for (int i = inner; step[i] == reduced_.loop[i].length && i > 0; --i) {
            step[i] = 0;
            ++step[i - 1];
            in += reduced_.loop[i - 1].in - reduced_.loop[i].in * reduced_.loop[i].length;
            out += reduced_.loop[i - 1].out - reduced_.loop[i].out * reduced_.loop[i].length;
            index += reduced_.loop[i - 1].weight - reduced_.loop[i].weight * reduced_.loop[i].length;
        }
    }
}

// Calls `function(live, rows)` for a row that has one result: for rows of `BLOCK` elements, and for what is left.
template <class Function>
void Reduction::call_for_long_row(Rows rows, int64_t length, int64_t live, Function function) const {
    const int64_t left = length % BLOCK;
    rows.count = length / BLOCK;
    rows.length = BLOCK;
    rows.step = BLOCK * rows.stride;
    rows.step_weight = BLOCK * row_[0].weight;
    rows.out_step = BLOCK * rows.out_stride;
    if (rows.count) function(live, rows);
    if (!left) return;
    rows.data += rows.count * rows.step;
    rows.out += rows.count * rows.out_step;
    rows.index += rows.count * rows.step_weight;
    rows.ahead = nullptr;
    rows.count = 1;
    rows.length = left;
    function(live, rows);
}

// Reduces the accumulators of all rows to those of their results, which then are the first ones.
void Reduction::fold(const Pass &pass, const Place &place, Accumulators rows) const {
    int64_t outer = place.live * lanes_, inner = 1;
    for (int i = row_rank_ - 1; results_ < lanes_ && i >= 0; --i) {
        const int64_t length = row_[i].length;
        outer /= length;
        if (row_[i].reduced) pass.join(rows, outer, length, inner);
        else inner *= length;
    }
}

// Copies some planes of the accumulators of results.
void Reduction::collect(const Place &place, Accumulators rows, Accumulators results, int first_plane, int last_plane) const {
    for (int plane = first_plane; plane <= last_plane; ++plane) {
        const int64_t bytes = operation_.sizes[plane] * place.live * results_;
        if (bytes) std::memcpy(results.plane[plane], rows.plane[plane], bytes);
    }
}

// Copies the first planes of each result to all accumulators of its elements.
void Reduction::spread(const Place &place, Accumulators results, Accumulators rows, int planes) const {
    const int64_t run = row_rank_ && row_[row_rank_ - 1].reduced ? row_[row_rank_ - 1].length : 1;
    for (int64_t live = 0; live < place.live; ++live) {
        const Accumulators from = result_at(results, live), to = row_at(rows, live);
        for (int plane = 0; plane < planes; ++plane) {
            const int size = operation_.sizes[plane];
            if (results_ == lanes_) std::memcpy(to.plane[plane], from.plane[plane], size * lanes_);
            else spread_numbers(size, to.plane[plane], from.plane[plane], result_of_.get(), lanes_, run);
        }
    }
}

// Adds rows to accumulators. The first rows of each live result set those that are new, unless they are of a tile that is
// too short for all of them.
void Reduction::add_rows(const Pass &pass, const Place &place, Steps steps, int64_t distance, bool are_new,
                         Accumulators rows) const {
    const bool has_checks = is_long_ && operation_.is_final;
    int64_t unset = are_new ? 0 : place.live;  // the first live result whose accumulators are not set
    for_each_row(place, steps, distance, [&](int64_t live, Rows each) {
        const Accumulators row = row_at(rows, live);
        if (live == unset) {
            ++unset;
            if (pass.set && each.length == lanes_ && !has_checks) return pass.set(row, each);
            pass.start(row, lanes_);
        }
        if (!has_checks) return pass.add(row, each);
        for (int64_t left = each.count; left > 0 && !operation_.is_final(row, lanes_); left -= ROWS_BETWEEN_CHECKS) {
            each.count = least(left, ROWS_BETWEEN_CHECKS);
            pass.add(row, each);
            each.data += each.count * each.step;
        }
    });
}

// Finds the pivot of each result, and copies it to all accumulators of the elements of the result.
void Reduction::find_pivots(const Place &place, Steps steps, Accumulators rows, Accumulators results) const {
    const Pass &pass = operation_.pivot_pass;
    if (operation_.pivot_is_approximate) {  // of a few elements
        steps.last = least(steps.last, steps.first + ceil_div(MIN_PIVOT_ELEMENTS, elements_per_step_));
    }
    double elements = elements_of(steps);
    if (!operation_.pivot_is_approximate || !is_long_) {
        add_rows(pass, place, steps, 0, true, rows);
    } else {
        pass.start(rows, place.live * lanes_);
        bool has_blocks = false;  // a tile may be shorter than one block
        for_each_row(place, steps, 0, [&](int64_t live, Rows each) {
            const bool is_rest = each.length < BLOCK;
            if (is_rest && has_blocks) return;
            has_blocks = !is_rest;
            each.count = least(each.count, PIVOT_ROWS);
            elements = static_cast<double>(each.count * each.length);
            pass.add(row_at(rows, live), each);
        });
    }
    fold(pass, place, rows);
    collect(place, rows, results, 0, 0);
    operation_.make_pivots(results, place.live * results_, elements);
    spread(place, results, rows, 1);
}

void Reduction::write(const Place &place, Accumulators results, double elements) const {
    const int64_t count = results_at(place), lives = count == results_ ? live_run_ : 1;  // whose results are one run
    for (int64_t live = 0; live < place.live; live += lives) {
        const Accumulators all = result_at(results, live);
        for (int64_t first = 0; first < count; first += run_) {
            const int64_t length = lives > 1 ? (least(live + lives, place.live) - live) * results_ : least(run_, count - first);
            char *out = place.out + live_out_[live] + offsets_[first];
            pages_.provide(out, out + (length - 1) * run_stride_);
            operation_.write(all.from(first, operation_.sizes), length, elements, out, run_stride_);
        }
    }
}

void Reduction::write_rows(const Place &place, Steps steps, Accumulators rows) const {
    for_each_row(place, steps, 0, [&](int64_t live, const Rows &each) {
        pages_.provide(each.out, each.out + (each.count - 1) * each.out_step + (each.length - 1) * each.out_stride);
        operation_.write_rows(row_at(rows, live), each);
    });
}

void Reduction::run_unit(int64_t unit, Scratch &scratch) {
    const Place place = place_of(splits_ == 1 ? unit : unit / splits_);
    const Steps steps = steps_of_split(splits_ == 1 ? 0 : unit % splits_);
    const Accumulators rows = scratch.rows;
    Accumulators results = splits_ > 1 ? partial(unit) : scratch.results;
    for (int64_t first = steps.first; first < steps.last; first += chunk_) {
        const Steps chunk{first, least(first + chunk_, steps.last)};
        const bool is_first = first == steps.first;
        int64_t distance = 0;  // to what is read next, unless rows are read in the order of the memory
        if (has_pivot() || reads_in_strips_) {
            const char *next = chunk.last < steps.last ? place.in + offset_of(chunk.last) : first_row_of(unit + 1);
            distance = next - (place.in + offset_of(first));
        }
        if (!has_exact_pivot()) {
            if (has_pivot() && is_first) find_pivots(place, chunk, rows, results);
            add_rows(operation_.pass, place, chunk, distance, is_first, rows);
            continue;
        }
        const Accumulators chunk_results = is_first ? results : scratch.chunk;
        find_pivots(place, chunk, rows, chunk_results);
        add_rows(operation_.pass, place, chunk, distance, true, rows);
        fold(operation_.pass, place, rows);
        collect(place, rows, chunk_results, 1, PLANES - 1);
        if (!is_first) operation_.combine(results, chunk_results, place.live * results_, elements_of(chunk));
    }
    if (!has_exact_pivot()) {
        fold(operation_.pass, place, rows);
        if (splits_ == 1 && !has_pivot()) results = rows;
        else collect(place, rows, results, has_pivot() ? 1 : 0, PLANES - 1);
    }
    if (writes_rows_) {
        spread(place, results, rows, PLANES);
        write_rows(place, steps, rows);
    } else if (splits_ == 1) {
        write(place, results, elements_of(steps));
    }
}

void Reduction::run(int64_t first, int64_t last) {
    Scratch scratch(operation_, live_.steps * lanes_, live_.steps * results_, operation_.load ? 8 * lanes_ : 0);
    if (!scratch.memory) {
        failed_.store(true, std::memory_order_relaxed);
        return;
    }
    for (int64_t unit = first; unit < last; ++unit) {
        if (operation_.load) run_unit_of_gradient(unit, scratch);
        else run_unit(unit, scratch);
    }
}

void Reduction::finish() {
    if (splits_ == 1 || failed() || (operation_.load && (is_second_pass_ || !needs_second_pass()))) return;
    for (int64_t outer = 0; outer < outer_.steps; ++outer) {
        const Place place = place_of(outer);
        const Accumulators total = partial(outer * splits_);
        for (int64_t split = 1; split < splits_; ++split) {
            const Accumulators other = partial(outer * splits_ + split);
            const int64_t count = place.live * results_;
            if (operation_.combine) operation_.combine(total, other, count, elements_of(steps_of_split(split)));
            else operation_.merge(total, other, count);
        }
        const double elements = elements_of({0, reduced_.steps});
        if (operation_.load) operation_.make_pivots(total, place.live * results_, elements);
        else write(place, total, elements);
    }
}

bool Reduction::starts_second_pass() {
    if (is_second_pass_ || !needs_second_pass() || failed()) return false;
    is_second_pass_ = true;
    return true;
}

// Fills the tables of the operands of a gradient.
bool Reduction::prepare_gradient() {
    live_result_ = allocate<int64_t>(live_.steps);
    live_gradient_ = allocate<int64_t>(live_.steps);
    if (!live_result_ || !live_gradient_) return false;
    for (int64_t live = 0; live < live_.steps; ++live) {
        int64_t rest = live;
        live_result_[live] = live_gradient_[live] = 0;
        for (int i = live_.count - 1; i >= 0; --i) {
            live_result_[live] += rest % live_.loop[i].length * live_.loop[i].result;
            live_gradient_[live] += rest % live_.loop[i].length * live_.loop[i].gradient;
            rest /= live_.loop[i].length;
        }
    }
    for (int i = 0; i < row_rank_; ++i) {
        const Dimension &each = row_[i];
        if (each.reduced) continue;
        OperandRun *outer = operand_run_count_ ? &operand_runs_[operand_run_count_ - 1] : nullptr;
        if (outer && outer->result == each.length * each.result && outer->gradient == each.length * each.gradient) {
            *outer = {outer->length * each.length, each.result, each.gradient};
        } else {
            operand_runs_[operand_run_count_++] = {each.length, each.result, each.gradient};
        }
    }
    return true;
}

// Loads what the gradient is computed from, for each result.
void Reduction::load(const Place &place, Accumulators results) const {
    const OperandRun none{1, 0, 0};
    const OperandRun &inner = operand_run_count_ ? operand_runs_[operand_run_count_ - 1] : none;
    const int64_t count = results_at(place);
    const double elements = elements_of({0, reduced_.steps});
    for (int64_t live = 0; live < place.live; ++live) {
        const Accumulators to = result_at(results, live);
        for (int64_t first = 0; first < count; first += inner.length) {
            const char *result = place.result + live_result_[live], *gradient = place.gradient + live_gradient_[live];
            int64_t rest = first / inner.length;
            for (int i = operand_run_count_ - 2; i >= 0; --i) {
                const int64_t step = i ? rest % operand_runs_[i].length : rest;
                result += step * operand_runs_[i].result;
                gradient += step * operand_runs_[i].gradient;
                rest /= operand_runs_[i].length;
            }
            operation_.load(to.from(first, operation_.sizes), least(inner.length, count - first), elements,
                            {result, inner.result}, {gradient, inner.gradient});
        }
    }
}

// Repeats planes of each result for all accumulators of its elements: one reduced dimension of the row after the other.
void Reduction::repeat(const Place &place, Accumulators results, Accumulators rows, int first_plane, int last_plane,
                       char *spare) const {
    int reduced = 0;
    for (int i = 0; i < row_rank_; ++i) reduced += row_[i].reduced;
    for (int64_t live = 0; live < place.live; ++live) {
        for (int plane = first_plane; plane <= last_plane; ++plane) {
            const int size = operation_.sizes[plane];
            if (!size) continue;
            const char *from = result_at(results, live).plane[plane];
            char *to = row_at(rows, live).plane[plane];
            int64_t outer = results_at(place), inner = 1;
            if (!reduced) std::memcpy(to, from, size * outer);
            int left = reduced;
            for (int i = row_rank_ - 1; i >= 0 && left > 0; --i) {
                const int64_t length = row_[i].length;
                if (row_[i].reduced) {
                    char *next = left % 2 ? to : spare;
                    operation_.repeat(size, next, from, outer, length, inner);
                    from = next;
                    --left;
                } else {
                    outer /= length;
                }
                inner *= length;
            }
        }
    }
}

// Writes the gradients of a unit. If they depend on sums over the elements of each result, a first pass adds those: over
// the unit if it has all of these elements, else over all units.
void Reduction::run_unit_of_gradient(int64_t unit, Scratch &scratch) {
    const Place place = place_of(unit / splits_);
    const Steps steps = steps_of_split(unit % splits_);
    const Accumulators rows = scratch.rows;
    Accumulators results = scratch.results;
    int first_plane = 0;
    if (is_second_pass_) {
        results = partial(unit / splits_ * splits_);
    } else {
        if (needs_second_pass()) results = partial(unit);
        load(place, results);
    }
    if (operation_.pass.add && !is_second_pass_) {
        if (operation_.sums_use_result) repeat(place, results, rows, first_plane++, 0, scratch.spare);
        add_rows(operation_.pass, place, steps, 0, true, rows);
        fold(operation_.pass, place, rows);
        collect(place, rows, results, 2, 2);
        if (needs_second_pass()) return;
        operation_.make_pivots(results, place.live * results_, elements_of(steps));
    }
    repeat(place, results, rows, first_plane, 1, scratch.spare);
    write_rows(place, steps, rows);
}

}  // namespace plait
