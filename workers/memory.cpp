#include "workers/memory.h"

#include <unistd.h>

#include <fstream>

namespace troupe::workers {

std::int64_t resident_bytes() {
  std::ifstream status("/proc/self/statm");
  std::int64_t total_pages = 0;
  std::int64_t resident_pages = 0;
  if (!(status >> total_pages >> resident_pages)) return 0;
  return resident_pages * ::sysconf(_SC_PAGESIZE);
}

}  // namespace troupe::workers
