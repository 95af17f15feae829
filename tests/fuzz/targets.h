#pragma once
#include <span>
#include <string_view>

namespace troupe::fuzz {

/// What reads bytes that somebody else wrote. Each takes any bytes, and throws troupe::Error for those that
/// it refuses; anything else that happens is a finding.
struct Target {
  std::string_view name;
  void (*read)(std::string_view bytes);
};

/// All of them; each has a folder of seeds of its name in corpus/.
[[nodiscard]] std::span<const Target> targets();

/// Calls a target as its users do: an Error is an answer. Whether the bytes were accepted.
bool read(const Target& target, std::string_view bytes);

// texts.cpp
void read_config(std::string_view bytes);
void read_tokenizer(std::string_view bytes);
void read_json_lines(std::string_view bytes);
void read_hosts(std::string_view bytes);
// files.cpp
void read_manifest(std::string_view bytes);
void read_hdf5(std::string_view bytes);
void read_safetensors(std::string_view bytes);
void read_token_bin(std::string_view bytes);
void read_token_index(std::string_view bytes);
// network.cpp
void read_control_frames(std::string_view bytes);
void read_http_request(std::string_view bytes);

}  // namespace troupe::fuzz
