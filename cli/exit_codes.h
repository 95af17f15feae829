#pragma once

namespace troupe::cli {

inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;      // something went wrong on the way
inline constexpr int kUsage = 2;        // the command line or the configuration is wrong
inline constexpr int kStartAgain = 75;  // state saved; the same command goes on (EX_TEMPFAIL)

}  // namespace troupe::cli
