#pragma once
#include <string>
#include <string_view>

#include "comm/control/messages/messages.h"

namespace troupe::comm {

/// Messages as CBOR (RFC 8949): {"type": name of the struct, "fields": {name: value}}, fields in the order of
/// message_fields.h. Text that is not UTF-8 travels with U+FFFD in place of each wrong byte.
[[nodiscard]] std::string encode(const WorkerMessage& message);
[[nodiscard]] std::string encode(const CoordinatorMessage& message);

/// Throw Error{kCorrupt}, and nothing else, for whatever is not exactly one message of the kind: both ends
/// are of one build, so an unknown, a missing or a misplaced field means damage, not another version.
[[nodiscard]] WorkerMessage decode_worker_message(std::string_view bytes);
[[nodiscard]] CoordinatorMessage decode_coordinator_message(std::string_view bytes);

}  // namespace troupe::comm
