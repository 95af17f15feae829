#pragma once
#include <string_view>

/// Files of a run's folder that coordinator and workers both know.
namespace troupe::comm {

/// Where the coordinator is, and the run's secret: see contact.h.
inline constexpr std::string_view kContactFile = "contact.json";
/// Random text, new at each start: a worker that reads it sees the coordinator's folder.
inline constexpr std::string_view kNonceFile = "nonce";

/// Environment variable of a worker: what its job was given. See JoinRequested::job.
inline constexpr const char* kJobVariable = "TROUPE_JOB";

}  // namespace troupe::comm
