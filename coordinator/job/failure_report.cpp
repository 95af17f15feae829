#include "coordinator/job/failure_report.h"

#include <utility>

namespace troupe::coordinator {

void FailureReport::add(FailureKind kind, std::string text) {
  if (kind_ && *kind_ <= kind) return;
  kind_ = kind;
  text_ = std::move(text);
}

}  // namespace troupe::coordinator
