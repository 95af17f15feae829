#include "dashboard/access.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/file.h"
#include "base/network.h"
#include "base/secrets.h"

namespace troupe::dashboard {
namespace {

constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kTokenFileBytes = 4096;
constexpr std::string_view kBearer = "Bearer ";
constexpr std::string_view kTokenParameter = "/?token=";

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

/// An address as a URL has it.
std::string host_of(const std::string& address) {
  return address.find(':') == std::string::npos ? address : "[" + address + "]";
}

void add_machine_names(std::vector<std::string>& hosts) {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return;
  const std::string full = lower(name.data());
  hosts.push_back(full);
  hosts.push_back(full.substr(0, full.find('.')));
}

/// A cookie does not know ports: two runs on one machine must not take each other's.
std::string cookie_name(const AccessRules& rules) { return fmt::format("troupe_{}", rules.port); }

/// Of "a=1; b=2".
std::string_view cookie_value(std::string_view cookies, const std::string& name) {
  while (!cookies.empty()) {
    const std::size_t end = std::min(cookies.find(';'), cookies.size());
    std::string_view cookie = cookies.substr(0, end);
    cookie.remove_prefix(std::min(cookie.find_first_not_of(' '), cookie.size()));
    if (cookie.starts_with(name) && cookie.substr(name.size()).starts_with('='))
      return cookie.substr(name.size() + 1);
    cookies.remove_prefix(std::min(end + 1, cookies.size()));
  }
  return {};
}

bool presents_token(const Query& query, const AccessRules& rules) {
  const std::string_view authorization = query.authorization;
  if (authorization.starts_with(kBearer))
    return same_secret(authorization.substr(kBearer.size()), rules.token);
  return same_secret(cookie_value(query.cookie, cookie_name(rules)), rules.token);
}

Answer ask_for_token() {
  Answer answer =
      plain(401,
            "This run's page asks for a token: open /?token=TOKEN once, or send Authorization: Bearer TOKEN. "
            "The run's terminal says in which file it is.\n");
  answer.headers = {{"WWW-Authenticate", "Bearer realm=\"troupe\""}};
  return answer;
}

Answer give_cookie(const AccessRules& rules) {
  Answer answer = plain(303, "");
  answer.headers = {{"Location", "./"},
                    {"Set-Cookie", fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict", cookie_name(rules),
                                               rules.token)}};
  return answer;
}

Answer authorize(const Query& query, const AccessRules& rules) {
  if (rules.token.empty() || presents_token(query, rules)) return {};
  const std::string_view target = query.target;
  if (target.starts_with(kTokenParameter) && same_secret(target.substr(kTokenParameter.size()), rules.token))
    return give_cookie(rules);
  return ask_for_token();
}

bool is_token(std::string_view text) {
  return text.size() == 2 * kTokenBytes &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

AccessRules access_rules(const DashboardOptions& options, std::uint16_t port, std::string token) {
  AccessRules rules{port, {"127.0.0.1", "localhost", "[::1]"}, std::move(token)};
  for (const std::string& name : options.host_names) rules.hosts.push_back(lower(name));
  if (is_loopback_address(options.address)) return rules;
  rules.hosts.push_back(host_of(options.address));
  for (const std::string& address : own_addresses()) rules.hosts.push_back(host_of(address));
  add_machine_names(rules.hosts);
  return rules;
}

bool allowed_host(std::string_view host, const AccessRules& rules) {
  const std::string asked = lower(host);
  return std::ranges::any_of(rules.hosts, [&](const std::string& name) {
    return asked == name || asked == fmt::format("{}:{}", name, rules.port);
  });
}

Answer admit(const Query& query, const AccessRules& rules) {
  if (!allowed_host(query.host, rules)) {
    return plain(403, "This server does not answer to that name: dashboard.host_names can add it.\n");
  }
  if (!query.is_get) {
    Answer answer = plain(405, "Only GET is possible here.\n");
    answer.headers = {{"Allow", "GET, HEAD"}};
    return answer;
  }
  return authorize(query, rules);
}

bool needs_token(const DashboardOptions& options) {
  return options.token_file.has_value() || !is_loopback_address(options.address);
}

std::string make_token() { return random_hex(kTokenBytes); }

std::string read_or_make_token(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) write_file_atomically(file, make_token() + "\n", 0600);
  require_private(file);
  std::string token = read_file(file, kTokenFileBytes);
  if (token.ends_with('\n')) token.pop_back();
  if (is_token(token)) return token;
  throw Error(ErrorCode::kConfig,
              "{} is no token: it should hold 64 digits of 0-9a-f (`openssl rand -hex 32`); without the "
              "file, one is made",
              file.string());
}

}  // namespace troupe::dashboard
