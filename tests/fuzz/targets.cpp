#include "tests/fuzz/targets.h"

#include <array>

#include "base/error.h"

namespace troupe::fuzz {

std::span<const Target> targets() {
  static constexpr std::array kTargets{
      Target{"config", read_config},           Target{"tokenizer", read_tokenizer},
      Target{"json_lines", read_json_lines},   Target{"hosts", read_hosts},
      Target{"manifest", read_manifest},       Target{"hdf5", read_hdf5},
      Target{"safetensors", read_safetensors}, Target{"token_bin", read_token_bin},
      Target{"token_index", read_token_index}, Target{"control", read_control_frames},
      Target{"http", read_http_request}};
  return kTargets;
}

bool read(const Target& target, std::string_view bytes) {
  try {
    target.read(bytes);
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal) throw;  // a broken invariant of ours
    return false;
  }
}

}  // namespace troupe::fuzz
