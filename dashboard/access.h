#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "dashboard/http_routes.h"
#include "dashboard/options.h"

namespace troupe::dashboard {

/// A request as far as it decides who may read.
struct Query {
  bool is_get = true;         // or HEAD
  std::string target;         // path, perhaps with "?…"
  std::string host;           // Host header
  std::string authorization;  // the header
  std::string cookie;         // the header
};

/// Who is answered.
struct AccessRules {
  std::uint16_t port = 0;
  std::vector<std::string> hosts;  // that a Host header may name, in lower case, [::1] in brackets
  std::string token;               // empty: whoever reaches the port
};

/// For a server of this address and port: loopback names, and where others reach it, its addresses, this
/// machine's name and dashboard.host_names.
[[nodiscard]] AccessRules access_rules(const DashboardOptions& options, std::uint16_t port,
                                       std::string token);

/// Whether `host` is one of the names, with this port or none: anything else is a page of another origin that
/// was pointed here (DNS rebinding).
[[nodiscard]] bool allowed_host(std::string_view host, const AccessRules& rules);

/// Refusal of a request (401, 403, 405), or status 200 when it may be answered. The token comes as
/// `Authorization: Bearer TOKEN`, as the cookie that this answers `/?token=TOKEN` with, on every path; in
/// that case (303) the browser goes on to the page without the token in its address.
[[nodiscard]] Answer admit(const Query& query, const AccessRules& rules);

/// Whether a server with these options asks for a token: where others than this machine's users can reach it,
/// or a file is named.
[[nodiscard]] bool needs_token(const DashboardOptions& options);

/// 256 bits in hexadecimal digits.
[[nodiscard]] std::string make_token();

/// The token in a file, made when the file is not there. Throws kConfig for one that
/// others may read, or that holds no such token.
[[nodiscard]] std::string read_or_make_token(const std::filesystem::path& file);

}  // namespace troupe::dashboard
