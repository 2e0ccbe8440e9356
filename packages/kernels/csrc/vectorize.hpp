// Before a loop: its iterations are independent, so that the compiler may vectorise it.
#pragma once

#if defined(__clang__)
#define PLAIT_VECTORIZE _Pragma("clang loop vectorize(assume_safety)")
#else
#define PLAIT_VECTORIZE _Pragma("GCC ivdep")
#endif
