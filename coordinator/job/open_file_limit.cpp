#include "coordinator/job/open_file_limit.h"

#include <sys/resource.h>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

constexpr std::int64_t kOtherFiles = 256;  // logs, checkpoints, pages that watch, strangers at the port

}  // namespace

void make_room_for_links(std::int64_t workers) {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) throw io_error("cannot read the limit of open files");
  const auto needed = static_cast<rlim_t>(workers + kOtherFiles);
  if (limit.rlim_cur >= needed) return;
  if (limit.rlim_max < needed) {
    throw Error(ErrorCode::kConfig,
                "{} workers need {} open files in the coordinator, this host allows {}: raise its hard limit "
                "(ulimit -Hn)",
                workers, needed, limit.rlim_max);
  }
  limit.rlim_cur = needed;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) throw io_error("cannot raise the limit of open files");
}

}  // namespace troupe::coordinator
