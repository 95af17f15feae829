#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace troupe::data {

enum class Role : std::uint8_t { kSystem, kUser, kAssistant };

struct ChatMessage {
  Role role = Role::kUser;
  std::string content;
  std::optional<std::string> reasoning = {};  // "reasoning_content": before an assistant's answer

  bool operator==(const ChatMessage&) const = default;
};

/// What was said, in its order. A prompt and its completion are a user's and an assistant's message.
struct Conversation {
  std::vector<ChatMessage> messages;
  bool is_completion = false;  // came as prompt and completion

  bool operator==(const Conversation&) const = default;
};

}  // namespace troupe::data
