// Makes the pages of new memory ready for writing.
#pragma once

#include <cstdint>

namespace plait {

// Makes the operating system provide the pages from `begin` until before `end`, as large ones if it can, on at most
// `threads` threads. Changes no byte. Does nothing for small memory, and on systems other than Linux.
void provide_pages(char *begin, char *end, int threads);

}  // namespace plait
