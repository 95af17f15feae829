#include "comm/control/link/contact.h"

#include <openssl/rand.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/secrets.h"

namespace troupe::comm {

namespace {

using nlohmann::json;

constexpr std::size_t kMaxContactBytes = 4096;
constexpr std::string_view kDigits = "0123456789abcdef";

std::string to_hex(const Secret& secret) {
  std::string text;
  for (const std::byte byte : secret) {
    text += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    text += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

/// False unless `text` is exactly a secret in lower-case hexadecimal digits.
bool from_hex(std::string_view text, Secret& secret) {
  if (text.size() != 2 * secret.size()) return false;
  for (std::size_t i = 0; i < secret.size(); ++i) {
    const std::size_t high = kDigits.find(text[2 * i]);
    const std::size_t low = kDigits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    secret[i] = static_cast<std::byte>(high * 16 + low);
  }
  return true;
}

/// False unless there is at least one, and each is a text.
bool parse_addresses(const json& list, std::vector<std::string>& addresses) {
  if (!list.is_array()) return false;
  for (const json& address : list) {
    if (!address.is_string() || address.get_ref<const std::string&>().empty()) return false;
    addresses.push_back(address.get<std::string>());
  }
  return !addresses.empty();
}

/// False unless the content is complete, and nothing else.
bool parse(const json& content, Contact& contact) {
  if (!content.is_object() || content.size() != 4) return false;
  const auto member = [&](const char* name) { return content.value(name, json()); };
  const json addresses = member("addresses"), port = member("port"), secret = member("secret"),
             epoch = member("epoch");
  if (!secret.is_string() || !parse_addresses(addresses, contact.addresses)) return false;
  if (!port.is_number_unsigned() || port.get<std::uint64_t>() > std::numeric_limits<std::uint16_t>::max())
    return false;
  if (!epoch.is_number_unsigned() || epoch.get<std::uint64_t>() > std::numeric_limits<Epoch>::max())
    return false;
  contact.port = port.get<std::uint16_t>();
  contact.epoch = epoch.get<Epoch>();
  return contact.port != 0 && from_hex(secret.get<std::string>(), contact.secret);
}

}  // namespace

Secret make_secret() {
  Secret secret;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(secret.data()), static_cast<int>(secret.size())) != 1) {
    throw Error(ErrorCode::kIo, "the system's random generator gave no secret for the control link");
  }
  return secret;
}

std::string make_token() { return random_hex(sizeof(Secret)); }

void write_contact(const std::filesystem::path& path, const Contact& contact) {
  const json content = {{"addresses", contact.addresses},
                        {"port", contact.port},
                        {"secret", to_hex(contact.secret)},
                        {"epoch", contact.epoch}};
  write_file_atomically(path, content.dump(2, ' ', false, json::error_handler_t::replace) + "\n", 0600);
}

Contact read_contact(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMaxContactBytes);
  require_private(path);
  Contact contact;
  if (!parse(json::parse(text, nullptr, false), contact)) {
    throw Error(ErrorCode::kCorrupt, "{} is not a contact file: start the run again", path.string());
  }
  return contact;
}

}  // namespace troupe::comm
